"""The API tells what truly arrived, and runs in a process of its own."""

import asyncio
import signal
import time

import aiosmtplib
import httpx
import pytest
from practice import fastsmtp
from practice.mail import MailPlatform, MailSettings, running


async def send(port: int, *ids: str, to: str = "u1@example.test", **options) -> None:
    async with aiosmtplib.SMTP(hostname="localhost", port=port, **options) as smtp:
        for message_id in ids:
            content = f"Message-ID:\r\n {message_id}\r\nSubject: s\r\n\r\nhi\r\n".encode()
            await smtp.sendmail("anna@practice.test", [to], content)


@pytest.fixture
def anna(platform) -> dict:
    return {"port": platform.ports.smtp, "start_tls": False, "username": "anna", "password": "secret"}


async def test_copies_of_a_message_id_are_duplicates(mail, anna):
    await send(anna.pop("port"), "<a@t>", "<b@t>", "<a@t>", "<a@t>", **anna)
    counts = await mail.counts()
    assert (counts["received"], counts["distinct_message_ids"], counts["duplicates"]) == (4, 2, 2)
    listed = await mail.counts_by_message_id(["<a@t>", "<c@t>"])
    assert listed == {"counts": {"<a@t>": 3, "<c@t>": 0}, "received": 1, "copies": 3, "duplicates": 2}
    assert await mail.message_ids() == {"<a@t>": 3, "<b@t>": 1}


async def test_messages_are_found_by_id_and_recipient(mail, anna):
    port = anna.pop("port")
    await send(port, "<a@t>", "<b@t>", **anna)
    await send(port, "<c@t>", to="U2@example.test", **anna)
    assert [one["n"] for one in await mail.messages(limit=2)] == [3, 2]
    (found,) = await mail.messages(to="u2@example.test")
    assert found["message_id"] == "<c@t>"
    (found,) = await mail.messages(message_id="<b@t>")
    whole = await mail.message(found["n"])
    assert (whole["subject"], whole["text"], whole["size"]) == ("s", "hi\r\n", len(whole["raw"]))
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await mail.message(4)


async def test_attachments_and_html_are_shown(mail):
    await mail.put_account("anna")
    raw = (
        b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"
        b"--B\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n"
        b"--B\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=a.csv\r\n\r\n1,2\r\n--B--\r\n"
    )
    await mail.inject("anna", raw=raw)
    (kept,) = await mail.mailbox("anna")
    assert kept["html"] == "<b>x</b>"
    assert kept["attachments"] == [{"name": "a.csv", "type": "text/csv", "size": 3}]


@pytest.mark.parametrize(
    "raw", [b"", b"\xff\xfe\x00", b"Content-Type: multipart/mixed\r\n\r\n", b"Subject: =?x?y?z?=\r\n\r\n"]
)
async def test_odd_mail_is_shown_all_the_same(mail, raw):
    await mail.put_account("anna")
    await mail.inject("anna", raw=raw)
    assert len(await mail.mailbox("anna")) == 1


async def test_reset_forgets_everything_but_the_accounts(mail, anna):
    await send(anna.pop("port"), "<a@t>", **anna)
    await mail.inject("anna")
    await mail.set_faults(slow_seconds=1)
    await mail.reset(mailboxes=False)
    assert len(await mail.mailbox("anna")) == 1
    await mail.reset()
    assert (await mail.counts())["received"] == 0
    assert await mail.message_ids() == {}
    assert await mail.faults() == {}
    assert await mail.mailbox("anna") == []


async def test_unknown_accounts_and_folders_are_named(mail):
    with pytest.raises(httpx.HTTPStatusError, match=r"no account ghost@practice\.test"):
        await mail.inject("ghost")
    await mail.put_account("anna")
    with pytest.raises(httpx.HTTPStatusError, match="no folder Attic"):
        await mail.inject("anna", folder="Attic")
    with pytest.raises(httpx.HTTPStatusError, match="no folder Attic"):
        await mail.mailbox("anna", "Attic")


async def test_only_the_last_contents_are_kept_and_all_are_counted():
    async with MailPlatform(MailSettings(allow_plain_auth=True, allow_no_auth=True, keep_contents=2)) as platform:
        await send(platform.ports.smtp, "<a@t>", "<b@t>", "<c@t>", start_tls=False)
        assert [platform.archive.content(n) is None for n in (1, 2, 3)] == [True, False, False]
        assert platform.archive.counts()["received"] == 3


async def test_a_taken_port_is_an_error_that_leaves_nothing_behind(platform):
    with pytest.raises(OSError, match="ddress already in use"):
        await MailPlatform(MailSettings(api_port=platform.ports.smtp)).start()


async def test_it_runs_as_a_process_with_the_options_of_its_command_line():
    async with running(allow_plain_auth=True, no_auto_accounts=True, reply_delay=0, domain="toko.test") as started:
        assert (await started.client.healthz())["smtp"] == started.ports.smtp
        await started.client.put_account("anna", "pw")
        await send(started.ports.smtp, "<a@t>", start_tls=False, username="anna@toko.test", password="pw")
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(started.ports.smtp, "<b@t>", start_tls=False, username="bert", password="secret")
        assert (await started.client.counts())["received"] == 1
        started.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.process.wait(), 5) == 0


async def test_the_fast_sink_counts_and_keeps_its_round_trip():
    async with fastsmtp.running(rtt_ms=50) as sink:
        begun = asyncio.get_running_loop().time()
        await send(sink.port, "<a@t>", "<a@t>", "<b@t>", start_tls=False, username="a", password="b")
        seconds = asyncio.get_running_loop().time() - begun
        assert await sink.counts() == {"received": 3, "distinct": 2, "connections": 2}
        assert seconds > 0.05 * 4 * 3


async def test_the_fast_sink_tells_how_many_came_after_a_moment():
    async with fastsmtp.running() as sink:
        await send(sink.port, "<a@t>", start_tls=False, username="a", password="b")
        moment = time.monotonic()
        await send(sink.port, "<b@t>", "<c@t>", start_tls=False, username="a", password="b")
        found = await fastsmtp.ask(sink.host, sink.port, moment)
        assert found["after"] == 2
        assert moment < found["last"] < time.monotonic()
