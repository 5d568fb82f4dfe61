"""The mailboxes, through a real IMAP client."""

import asyncio
import imaplib
import time

import pytest
from imap_tools import MailBox, MailboxLoginError, MailBoxStartTls, MailBoxUnencrypted

RAW = b"From: a@elsewhere.test\r\nSubject: =?utf-8?q?h=C3=A9?=\r\nMessage-ID: <raw@t>\r\n\r\nd\xc3\xa9j\xc3\xa0\r\n.\r\nend"


def opened(platform, login="anna", password="secret", folder="INBOX"):
    return MailBoxUnencrypted(platform.ports.host, platform.ports.imap, timeout=10).login(login, password, folder)


async def test_mail_comes_back_byte_for_byte(platform, mail):
    await mail.put_account("anna")
    await mail.inject("anna", raw=RAW)

    def read() -> bytes:
        with opened(platform, "anna@practice.test") as box:
            box.client.select("INBOX")
            _, data = box.client.uid("fetch", "1:*", "(BODY.PEEK[])")
            return data[0][1]

    assert await asyncio.to_thread(read) == RAW


async def test_the_first_login_creates_the_account_and_its_folders(platform, mail):
    assert await mail.accounts() == []

    def folders() -> list[str]:
        with opened(platform) as box:
            return sorted(one.name for one in box.folder.list())

    assert await asyncio.to_thread(folders) == ["INBOX", "Junk", "Sent"]
    assert await mail.accounts() == ["anna@practice.test"]


async def test_a_wrong_password_is_refused_on_both_ports(platform, mail, tls):
    await mail.put_account("anna", "hunter2")

    def attempt() -> None:
        with pytest.raises(MailboxLoginError):
            opened(platform)
        with pytest.raises(MailboxLoginError):
            MailBox("localhost", platform.ports.imaps, ssl_context=tls, timeout=10).login("anna", "secret")
        MailBox("localhost", platform.ports.imaps, ssl_context=tls, timeout=10).login("anna", "hunter2").logout()

    await asyncio.to_thread(attempt)


async def test_xoauth2_signs_in(platform, mail):
    await mail.put_account("anna", "hunter2", token="t0ken")

    def attempt() -> None:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            MailBoxUnencrypted(platform.ports.host, platform.ports.imap).xoauth2("anna@practice.test", "wrong")
        with MailBoxUnencrypted(platform.ports.host, platform.ports.imap).xoauth2("anna@practice.test", "t0ken") as box:
            assert box.folder.get() == "INBOX"

    await asyncio.to_thread(attempt)


async def test_idle_tells_of_new_mail_at_once(platform, mail):
    await mail.put_account("anna")
    waiting = asyncio.Event()
    loop = asyncio.get_running_loop()

    def idle() -> float:
        with opened(platform) as box:
            box.idle.start()
            loop.call_soon_threadsafe(waiting.set)
            begun = time.monotonic()
            assert box.idle.poll(timeout=10)
            box.idle.stop()
            return time.monotonic() - begun

    idling = asyncio.create_task(asyncio.to_thread(idle))
    await waiting.wait()
    await mail.inject("anna", subject="now")
    assert await idling < 2


async def test_mail_is_kept_for_accounts_and_only_counted_for_others(platform, mail, wire):
    await mail.put_account("boss@example.test")
    envelope = b"MAIL FROM:<anna@practice.test>\r\nRCPT TO:<BOSS@example.test>\r\nRCPT TO:<u1@example.test>\r\nDATA\r\n"
    await wire.ask(envelope, 4)
    await wire.ask(b"Message-ID: <a@t>\r\nSubject: s\r\n\r\nhi\r\n.\r\n")
    (kept,) = await mail.mailbox("boss@example.test")
    assert (kept["subject"], kept["text"]) == ("s", "hi\r\n")
    assert "u1@example.test" not in await mail.accounts()


async def test_a_client_can_append_to_sent(platform, mail):
    def append() -> None:
        with opened(platform) as box:
            box.append(RAW, "Sent")

    await asyncio.to_thread(append)
    (kept,) = await mail.mailbox("anna", "Sent")
    assert kept["size"] == len(RAW)


async def test_a_new_uidvalidity_renumbers_and_cuts_off(platform, mail):
    await mail.put_account("anna")
    for subject in ("one", "two"):
        await mail.inject("anna", subject=subject)

    def look() -> tuple[str, list[str]]:
        with opened(platform) as box:
            return box.folder.status("INBOX")["UIDVALIDITY"], [m.uid for m in box.fetch(mark_seen=False)]

    before, old = await asyncio.to_thread(look)
    box = await asyncio.to_thread(opened, platform)
    renewed = await mail.new_uidvalidity("anna")
    with pytest.raises((OSError, box.client.abort)):
        await asyncio.to_thread(box.client.noop)
    after, new = await asyncio.to_thread(look)
    assert after == renewed > before
    assert len(new) == 2
    assert not set(new) & set(old)


async def test_a_large_message_can_be_injected_into_junk(platform, mail):
    await mail.put_account("anna")
    await mail.inject("anna", size_mb=5, folder="Junk", in_reply_to="<x@y>", sender="b@elsewhere.test")
    (kept,) = await mail.mailbox("anna", "Junk")
    assert kept["size"] > 5_000_000
    assert ["In-Reply-To", "<x@y>"] in kept["headers"]


async def test_new_mail_is_announced_by_exists_alone_and_flags_set_elsewhere_by_fetch(platform, mail):
    """As the large providers do; a client that asks must see no answer it did not ask for."""
    await mail.put_account("anna")
    await mail.inject("anna")
    box = await asyncio.to_thread(opened, platform)
    await mail.inject("anna")
    _, listed = await asyncio.to_thread(box.client.uid, "search", "UID 101:*")
    assert listed == [b"101"]
    assert box.client.untagged_responses["EXISTS"][-1] == b"2"
    assert "FETCH" not in box.client.untagged_responses

    def read_elsewhere() -> None:
        with opened(platform) as other:
            other.flag(["101"], "\\Seen", value=True)

    await asyncio.to_thread(read_elsewhere)
    await asyncio.to_thread(box.client.noop)
    assert box.client.untagged_responses["FETCH"] == [b"1 (FLAGS (\\Seen))"]
    await asyncio.to_thread(box.logout)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_a_flood_of_mail_is_read_once_each_while_idling(platform, mail, tls, mode):
    await mail.put_account("anna")
    count, ready, seen = 150, asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def box():
        if mode == "tls":
            return MailBox("localhost", platform.ports.imaps, ssl_context=tls, timeout=10)
        return MailBoxStartTls("localhost", platform.ports.imap, ssl_context=tls, timeout=10)

    def listen() -> None:
        with box().login("anna", "secret") as opened_box:
            last, until = 100, time.monotonic() + 20
            while len(seen) < count and time.monotonic() < until:
                for message in opened_box.fetch(f"UID {last + 1}:*", mark_seen=False):
                    if int(message.uid) > last:
                        seen.append(message.subject)
                        last = int(message.uid)
                loop.call_soon_threadsafe(ready.set)
                opened_box.idle.wait(timeout=0.2)

    listening = asyncio.create_task(asyncio.to_thread(listen))
    await ready.wait()
    for number in range(count):
        await mail.inject("anna", subject=str(number))
    await listening
    assert seen == [str(number) for number in range(count)]
