"""Messages as bytes: the same message as the standard library's, whatever stands in the columns."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from channel_email.headers import address
from channel_email.mime import Composer, EncodedAttachment, encode_base64
from contracts.commands import Attachment, SendMessage
from contracts.email import EmailSettings
from hypothesis import given, settings
from hypothesis import strategies as st
from servicekit.errors import Permanent

SETTINGS = EmailSettings.model_validate(
    {"smtp": {"host": "smtp.shop.example", "from_address": "toko@shop.example", "from_name": 'Toko "Maju", Jaya'}}
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3000)
HEADER = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=300)


def command(**changes):
    given = {
        "id": "c1",
        "source": "campaigns",
        "account_id": "acc",
        "row": "r1",
        "batch": "b.1",
        "not_after": datetime(2030, 1, 1, tzinfo=UTC),
        "to": {"address": "ani@example.com", "name": "Ani"},
        "content": {"subject": "Halo", "text": "Isi"},
    }
    return SendMessage.model_validate(given | changes)


def parsed(raw: bytes) -> EmailMessage:
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.isascii()
    assert b"\0" not in raw
    return email.message_from_bytes(raw, policy=email.policy.default)


def lines(text: str) -> str:
    """Return the text as mail knows it: LF only, ended by one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if text.endswith("\n") else text + "\n"


def stdlib(one: SendMessage) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = one.content.subject or ""
    message.set_content(lines(one.content.text))
    if one.content.html is not None:
        message.add_alternative(lines(one.content.html), subtype="html")
    return email.message_from_bytes(message.as_bytes(), policy=email.policy.default)


@given(TEXT, st.none() | TEXT)
@settings(max_examples=300, deadline=None)
def test_any_text_parses_to_the_same_message_as_the_standard_librarys(text, html):
    if not text and html is not None:
        text = "x"
    one = command(content={"subject": "Halo", "text": text, "html": html})
    ours, theirs = parsed(Composer(SETTINGS).compose(one).raw), stdlib(one)
    assert ours.get_content_type() == theirs.get_content_type()
    for kind in ("plain", "html"):
        mine, reference = ours.get_body((kind,)), theirs.get_body((kind,))
        assert (mine is None) == (reference is None)
        if mine is not None:
            decoded = mine.get_payload(decode=True).decode().replace("\r\n", "\n")
            assert decoded == reference.get_payload(decode=True).decode().replace("\r\n", "\n")
            assert decoded == lines(text if kind == "plain" else html)


@given(HEADER, HEADER)
@settings(max_examples=300, deadline=None)
def test_any_subject_and_name_come_back_as_they_were(subject, name):
    ours = parsed(
        Composer(SETTINGS)
        .compose(command(content={"subject": subject, "text": "x"}, to={"address": "ani@example.com", "name": name}))
        .raw
    )
    from email.header import decode_header, make_header  # noqa: PLC0415

    plain = email.message_from_bytes(ours.as_bytes(policy=email.policy.compat32.clone(max_line_length=0)))
    assert str(make_header(decode_header(plain["Subject"]))) == subject.strip()
    assert len(ours["To"].addresses) == 1
    assert ours["To"].addresses[0].addr_spec == "ani@example.com"


@pytest.mark.parametrize("bad", ["a\r\nBcc: x@y.z", "a\nb", "a\rb", "a\0b", "\r\n.\r\nMAIL FROM:<x@y.z>"])
@pytest.mark.parametrize("column", ["name", "subject", "filename"])
def test_line_breaks_in_a_header_column_are_refused(column, bad):
    one = {
        "name": lambda: command(to={"address": "a@b.c", "name": bad}),
        "subject": lambda: command(content={"subject": bad, "text": "x"}),
        "filename": lambda: command(
            content={"text": "x", "attachments": [{"object": "o", "filename": bad, "size": 1}]},
        ),
    }[column]()
    files = (EncodedAttachment(b"eA=="),) if column == "filename" else ()
    with pytest.raises(Permanent) as refused:
        Composer(SETTINGS).compose(one, files)
    assert refused.value.reason == "invalid_header"


@pytest.mark.parametrize(
    "bad",
    [
        "a@b.c>\r\nRCPT TO:<x@y.z",
        "a@b.c\r\nDATA",
        "a b@c.d",
        "a@b c",
        "<a@b.c>",
        "a",
        "a@",
        "@b",
        "a@b@c.d\0",
        "a,b@c.d",
        '"x y"@c.d',
        "a@b\uff1e\uff1cx.y",
        "a\u2028b@c.d",
        "a\x85b@c.d",
        "a@b.c> SIZE=1",
        "." * 70 + "@b.c",
    ],
)
def test_an_address_column_with_smtp_commands_is_refused(bad):
    with pytest.raises(Permanent) as refused:
        Composer(SETTINGS).compose(command(to={"address": bad}))
    assert refused.value.reason == "invalid_address"


def test_a_domain_of_another_script_becomes_ascii_and_a_local_part_asks_for_smtputf8():
    assert address("address", "ani@b\u00fccher.example") == b"ani@xn--bcher-kva.example"
    envelope = Composer(SETTINGS).compose(command(to={"address": "j\u00fcrgen@example.com"})).envelope
    assert envelope.needs_utf8
    assert envelope.mail.endswith(b" SMTPUTF8")


def test_message_id_leads_back_to_the_row_and_changes_only_when_wanted_again():
    composer = Composer(SETTINGS)
    assert composer.compose(command()).message_id == "<kurir.0.r1@shop.example>"
    assert composer.compose(command(wanted=2)).message_id == "<kurir.2.r1@shop.example>"


def test_one_click_unsubscribe_and_thread_headers():
    one = command(
        unsubscribe_url="https://kurir.example/u/abc",
        thread={"in_reply_to": "<b@x>", "references": ["<a@x>", "evil\r\nBcc: x@y", "<b@x>"]},
    )
    message = parsed(Composer(SETTINGS).compose(one).raw)
    assert message["List-Unsubscribe"] == "<https://kurir.example/u/abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["In-Reply-To"] == "<b@x>"
    assert message["References"].split() == ["<a@x>", "<b@x>"]
    assert message["Bcc"] is None
    with pytest.raises(Permanent):
        Composer(SETTINGS).compose(command(unsubscribe_url="https://x/\r\nBcc: a@b.c"))


def test_attachments_come_back_byte_for_byte_with_their_names():
    data = bytes(range(256)) * 500
    names = ["daftar harga.pdf", "h\u00e4rga \u6d4b\u8bd5 " + "x" * 200 + ".pdf", 'a"b\\c.pdf']
    metas = [Attachment(object=n, filename=n, content_type="application/pdf", size=len(data)) for n in names]
    one = command(content={"text": "teks", "html": "<p>teks</p>", "attachments": metas})
    message = parsed(Composer(SETTINGS).compose(one, (EncodedAttachment(encode_base64(data)),) * 3).raw)
    files = list(message.iter_attachments())
    assert [part.get_filename() for part in files] == names
    assert all(part.get_payload(decode=True) == data for part in files)
    assert message.get_body(("html",)).get_content().rstrip() == "<p>teks</p>"
    assert message.get_body(("plain",)).get_content().rstrip() == "teks"


def test_texts_that_are_kept_are_those_of_their_message():
    """What was encoded for one recipient is used for another only where it is the same text of the same kind."""
    contents = [(text, html) for text in ("Isi", "Isi ", "x" * 20_000) for html in (None, "Isi", "Isi ")]
    for text, html in [*contents, *reversed(contents)]:
        one = command(content={"subject": "Halo", "text": text, "html": html})
        made = parsed(Composer(SETTINGS).compose(one).raw)
        kinds = [
            (part.get_content_type(), lines(part.get_content())) for part in made.walk() if not part.is_multipart()
        ]
        assert kinds == [(k, lines(t)) for k, t in (("text/plain", text), ("text/html", html)) if t is not None]
