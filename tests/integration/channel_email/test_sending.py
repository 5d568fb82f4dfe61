"""What truly arrives at a strict mail server, on good days and bad ones."""

import asyncio

import aiosmtplib
import pytest
from channel_email.mime import Composer
from channelkit.protocol import NeedsLogin, NotClaimed, OutcomeUnknown, Restricted
from contracts.commands import Attachment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice.mail.process import running
from servicekit.errors import Permanent, Retry

from tests.integration.channel_email.recorder import SENDER, open_session, send_all
from tests.support.recorder import Attempt


@pytest.fixture
async def session(host, app_settings, account):
    account = account.model_copy(update={"imap": None})
    session = open_session(host, app_settings, account)
    yield session
    await session.close()


async def test_a_group_per_message_on_one_connection(session, command, mail):
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(20)])
    assert all(ids == [f"<kurir.0.row{n}@practice.test>"] for n, ids in enumerate(outcomes.values()))
    counts = await mail.client.counts()
    assert (counts["received"], counts["duplicates"], counts["violations"]) == (20, 0, 0)
    assert (await mail.client.deliveries())["opened"] == 1
    one = await mail.client.message((await mail.client.messages(to="u3@practice.test"))[0]["n"])
    assert one["text"].replace("\r\n", "\n") == "Isi 3\n.\nakhir\n"


async def test_connections_end_after_so_many_messages(session, command, mail):
    session.messages_per_connection = 5
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(12)])
    assert not [one for one in outcomes.values() if isinstance(one, Exception)]
    messages = [one["messages"] for one in (await mail.client.deliveries())["connections"]]
    assert sorted(messages) == [2, 5, 5]


async def test_one_command_at_a_time_where_pipelining_is_not_announced(session, command, mail):
    sender = session.sender()
    opened = await session.connect()
    opened.pipelining = False
    sender._wire = opened
    attempts = [Attempt(command(n, "reject@practice.test" if n == 2 else None)) for n in range(5)]
    outcomes = await send_all(sender, attempts)
    assert isinstance(outcomes["row2"], Permanent)
    assert attempts[2].claims == 0
    assert (await mail.client.counts())["received"] == 4
    assert (await mail.client.deliveries())["opened"] == 1


async def test_a_refused_recipient_in_a_group_is_its_own_trouble(session, command, mail):
    attempts = [Attempt(command(n, f"reject-{n}@practice.test" if n % 3 == 1 else None)) for n in range(10)]
    outcomes = await send_all(session.sender(), attempts)
    refused = {row: one for row, one in outcomes.items() if isinstance(one, Exception)}
    assert set(refused) == {"row1", "row4", "row7"}
    assert {one.reason for one in refused.values()} == {"no_such_recipient"}
    assert all(attempt.claims == (0 if attempt.command.row in refused else 1) for attempt in attempts)
    counts = await mail.client.counts()
    assert (counts["received"], counts["violations"]) == (7, 0)
    assert (await mail.client.deliveries())["opened"] == 1


async def test_a_4xx_is_tried_again_later_and_waits_longer_each_time(session, command, mail):
    sender, attempt = session.sender(), Attempt(command(1, "tempfail@practice.test"))
    waits = []
    for _ in range(3):
        with pytest.raises(Retry) as refused:
            await sender.send(attempt, lambda: None)
        waits.append(refused.value.after_seconds)
    assert waits == [60, 300, 300]
    assert "45" in refused.value.detail
    assert attempt.claims == 0


async def test_a_refused_content_is_the_messages_trouble(session, command, mail):
    await mail.client.set_faults(refuse_5xx={"at": "data", "recipient": "u1@*"}, refuse_4xx={"at": "data", "times": 1})
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(4)])
    assert isinstance(outcomes["row0"], Retry)
    assert isinstance(outcomes["row1"], Permanent)
    assert outcomes["row1"].reason == "refused_by_policy"
    assert (await mail.client.counts())["received"] == 2


async def test_421_in_the_middle_is_the_connections_end_and_nobodys_failure(session, command, mail):
    await mail.client.set_faults(throttle_421_after=3)
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(10)])
    assert not [one for one in outcomes.values() if isinstance(one, Exception)]
    assert (await mail.client.counts())["received"] == 10
    assert (await mail.client.counts())["duplicates"] == 0


async def test_a_throttled_account_stops_and_no_recipient_is_blamed(session, command, mail):
    await mail.client.set_faults(throttle_account=4)
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(8)])
    stopped = [one for one in outcomes.values() if isinstance(one, Exception)]
    assert len(stopped) == 4
    assert all(isinstance(one, Restricted) and "Too many messages" in one.reason for one in stopped)


async def test_dropped_after_the_content_is_unknown_exactly_once(session, command, mail):
    await mail.client.set_faults(drop_after_data={"times": 1, "stored": True, "recipient": "u3@*"})
    attempts = [Attempt(command(n)) for n in range(8)]
    outcomes = await send_all(session.sender(), attempts)
    unknown = [row for row, one in outcomes.items() if isinstance(one, OutcomeUnknown)]
    assert unknown == ["row3"]
    assert not [one for row, one in outcomes.items() if isinstance(one, Exception) and row != "row3"]
    assert all(one.claims == 1 for one in attempts)
    counts = await mail.client.counts()
    assert (counts["received"], counts["duplicates"]) == (8, 0)


async def test_no_answer_to_the_content_is_unknown_within_the_send_timeout(session, command, mail):
    await mail.client.set_faults(accept_and_hang={"times": 1})
    session.send_timeout_seconds = 1.0
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(session.sender().send(Attempt(command(1)), lambda: None), 5)


async def test_not_claimed_sends_nothing_and_the_next_goes_out(session, command, mail):
    attempts = [Attempt(command(n), refuse=n in (2, 3)) for n in range(6)]
    outcomes = await send_all(session.sender(), attempts)
    assert {row for row, one in outcomes.items() if isinstance(one, NotClaimed)} == {"row2", "row3"}
    assert set(await mail.client.message_ids()) == {f"<kurir.0.row{n}@practice.test>" for n in (0, 1, 4, 5)}


async def test_an_abandoned_envelope_sends_nothing(session, command, mail):
    sender, following = session.sender(), Attempt(command(2))
    await sender.send(Attempt(command(1)), lambda: following)
    await sender.abandon()
    await sender.send(Attempt(command(3)), lambda: None)
    assert following.claims == 0
    assert set(await mail.client.message_ids()) == {f"<kurir.0.row{n}@practice.test>" for n in (1, 3)}


async def test_a_wrong_password_needs_a_person_and_a_server_that_is_down_does_not(session, host, command, mail):
    await mail.client.set_faults(refuse_auth=True)
    with pytest.raises(NeedsLogin, match="535"):
        await session.sender().send(Attempt(command(1)), lambda: None)
    await mail.client.set_faults(down=True)
    with pytest.raises(Restricted):
        await session.sender().send(Attempt(command(1)), lambda: None)


async def test_a_sender_that_is_refused_is_never_the_recipients_trouble(session, command, mail):
    await mail.client.set_faults(refuse_5xx={"at": "mail"})
    outcomes = await send_all(session.sender(), [Attempt(command(n)) for n in range(3)])
    assert all(isinstance(one, Restricted) for one in outcomes.values())


async def test_a_connection_cut_between_messages_is_opened_again(session, command, mail):
    sender = session.sender()
    await sender.send(Attempt(command(1)), lambda: None)
    await mail.client.drop_connections("smtp")
    await sender.send(Attempt(command(2)), lambda: None)
    assert (await mail.client.counts())["received"] == 2


async def test_an_idle_connection_is_closed(session, command, mail):
    session.settings = session.settings.model_copy(update={"idle_close_seconds": 0.2})
    await session.sender().send(Attempt(command(1)), lambda: None)
    await asyncio.sleep(0.6)
    assert [one["closed_at"] for one in (await mail.client.deliveries())["connections"]] != [None]


async def test_attachments_are_encoded_once_and_arrive_whole(session, host, command, mail):
    data = bytes(range(256)) * 4000
    kept = await host.put_media(data, "daftar.pdf", "application/pdf")
    fetched = []
    original = host.get_media

    async def fetch(key):
        fetched.append(key)
        return await original(key)

    host.get_media = fetch
    content = {"subject": "s", "text": "t", "html": "<b>t</b>", "attachments": [kept]}
    outcomes = await send_all(session.sender(), [Attempt(command(n, content=content)) for n in range(3)])
    assert not [one for one in outcomes.values() if isinstance(one, Exception)]
    assert len(fetched) == 1
    for record in await mail.client.messages():
        message = await mail.client.message(record["n"])
        assert [(one["name"], one["size"]) for one in message["attachments"]] == [("daftar.pdf", len(data))]
        assert message["html"].strip() == "<b>t</b>"


async def test_a_missing_attachment_is_permanent_and_holds_nobody_up(session, command, mail):
    lost = Attachment(object="gone", filename="x.pdf", size=3)
    attempts = [Attempt(command(n, content={"text": "t", "attachments": [lost] if n == 1 else []})) for n in range(3)]
    outcomes = await send_all(session.sender(), attempts)
    assert outcomes["row1"].reason == "attachment_missing"
    assert (await mail.client.counts())["received"] == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": {"address": "a@practice.test", "name": "x\r\n.\r\nMAIL FROM:<evil@practice.test>"}}, "invalid_header"),
        ({"to": {"address": "a@practice.test>\r\nRCPT TO:<evil@practice.test"}}, "invalid_address"),
        ({"content": {"subject": "x\r\nBcc: evil@practice.test", "text": "t"}}, "invalid_header"),
        ({"to": {"address": "."}}, "invalid_address"),
    ],
)
async def test_injection_is_refused_before_anything_is_said(session, command, mail, changes, reason):
    attempts = [Attempt(command(1)), Attempt(command(2, **changes)), Attempt(command(3))]
    outcomes = await send_all(session.sender(), attempts)
    assert outcomes["row2"].reason == reason
    assert {one["rcpt_to"][0] for one in await mail.client.messages()} == {"u1@practice.test", "u3@practice.test"}
    assert (await mail.client.counts())["violations"] == 0


async def test_what_a_server_receives_is_what_aiosmtplib_would_have_sent(account, app_settings, host, command):
    async with running(allow_plain_auth=True) as mail:
        smtp = account.smtp.model_copy(update={"port": mail.ports.smtp, "security": "none", "host": "127.0.0.1"})
        plain = account.model_copy(update={"smtp": smtp, "imap": None})
        session = open_session(host, app_settings, plain)
        sender, composer = session.sender(), Composer(plain)
        library = aiosmtplib.SMTP(hostname="127.0.0.1", port=mail.ports.smtp, start_tls=False)
        await library.connect()
        await library.login(SENDER, "secret")
        loop, number = asyncio.get_running_loop(), iter(range(1_000_000))

        async def compare(text, subject):
            one = command(next(number), content={"subject": subject, "text": text})
            await sender.send(Attempt(one), lambda: None)
            await library.sendmail(SENDER, [one.to.address], composer.compose(one).raw)
            ours, theirs = [
                (await mail.client.message(record["n"]))["raw"]
                for record in await mail.client.messages(to=one.to.address)
            ]
            assert _without_date(ours) == _without_date(theirs)

        @given(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
            | st.text(alphabet=".\r\n =aé", max_size=60),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60),
        )
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        def arbitrary(text, subject):
            asyncio.run_coroutine_threadsafe(compare(text, subject), loop).result(20)

        await asyncio.to_thread(arbitrary)
        assert (await mail.client.counts())["violations"] == 0
        library.close()
        await session.close()


def _without_date(raw):
    return [line for line in raw.split(b"\r\n") if not line.startswith((b"Date:", b"Received:"))]
