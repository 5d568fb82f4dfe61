"""Each fault does on the wire what its name says, to those it is meant for, as often as asked."""

import asyncio
import time

import httpx
import pytest
from imap_tools import MailboxLoginError, MailBoxUnencrypted
from practice.testing import SmtpWire


async def send(wire, to: str = "u1@example.test", message_id: str = "<m@t>") -> list[str]:
    """The replies of one transaction, as far as it got, closed by RSET where it stopped."""
    answers = []
    for command in (b"MAIL FROM:<anna@practice.test>\r\n", f"RCPT TO:<{to}>\r\n".encode(), b"DATA\r\n"):
        answers += await wire.ask(command)
        if answers[-1][0] not in "23":
            if not answers[-1].startswith("421"):
                await wire.ask(b"RSET\r\n")
            return answers
    return answers + await wire.ask(f"Message-ID: {message_id}\r\n\r\nhi\r\n.\r\n".encode())


async def test_a_refusal_happens_at_its_step_with_its_words(wire, mail):
    for at, step in (("mail", 0), ("rcpt", 1), ("data", 3)):
        await mail.set_faults(refuse_4xx={"at": at, "code": 452, "text": "4.5.3 Not now"})
        answers = await send(wire)
        assert (len(answers), answers[step]) == (step + 1, "452 4.5.3 Not now")
        await mail.set_faults(refuse_5xx={"at": at})
        assert (await send(wire))[step] == "550 5.7.1 Refused"
    assert (await mail.counts())["received"] == 0
    await mail.clear_faults()
    assert (await send(wire))[-1].startswith("250")


async def test_limits_by_times_recipient_and_sender(wire, mail):
    await mail.set_faults(refuse_4xx={"recipient": "u1@*", "times": 2})
    assert [len(await send(wire)) for _ in range(3)] == [2, 2, 4]
    await mail.set_faults(refuse_5xx={"recipient": "u1@*"})
    assert (await send(wire, "u2@example.test"))[-1].startswith("250")
    await mail.set_faults(refuse_5xx={"sender": "bert@*"})
    assert (await send(wire))[-1].startswith("250")
    await mail.set_faults(refuse_5xx=[{"sender": "bert@*"}, {"sender": "ANNA@*"}])
    assert (await send(wire))[-1].startswith("550")
    assert [one["hits"] for one in (await mail.faults())["refuse_5xx"]] == [0, 1]


async def test_greylisting_lets_a_pair_through_after_its_wait(wire, mail):
    await mail.set_faults(greylist_seconds=0.4)
    assert (await send(wire))[-1].startswith("451 4.7.1")
    assert (await send(wire))[-1].startswith("451 4.7.1")
    await asyncio.sleep(0.4)
    assert (await send(wire))[-1].startswith("250")
    assert (await send(wire, "u2@example.test"))[-1].startswith("451 4.7.1")


async def test_a_connection_is_throttled_with_421_and_closed(wire, mail, platform):
    await mail.set_faults(throttle_421_after=2)
    assert [(await send(wire))[-1][:3] for _ in range(3)] == ["250", "250", "421"]
    assert await wire.closed()
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as fresh:
        await fresh.login("anna")
        assert (await send(fresh))[-1].startswith("250")


async def test_421_in_the_middle_of_a_pipelined_group_closes_after_it(wire, mail):
    envelope = b"MAIL FROM:<anna@practice.test>\r\nRCPT TO:<u1@example.test>\r\nDATA\r\n"
    await mail.set_faults(throttle_421_after=1)
    await wire.ask(envelope, 3)
    answers = await wire.ask(b"Message-ID: <m@t>\r\n\r\nhi\r\n.\r\n" + envelope, 2)
    assert [one[:3] for one in answers] == ["250", "421"]
    assert await wire.closed()


async def test_an_account_is_throttled_on_every_connection_until_lifted(wire, mail, platform):
    await mail.set_faults(throttle_account={"value": 2, "sender": "anna@*"})
    assert [(await send(wire))[-1][:3] for _ in range(4)] == ["250", "250", "451", "451"]
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as other:
        await other.login("anna")
        assert (await send(other))[0].startswith("451 4.7.0")
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as other:
        await other.login("bert")
        assert (await send(other))[-1].startswith("250")
    await mail.clear_faults("throttle_account")
    assert (await send(wire))[-1].startswith("250")


@pytest.mark.parametrize("stored", [True, False])
async def test_a_drop_after_content_leaves_the_client_without_answer(wire, mail, stored):
    await mail.set_faults(drop_after_data={"stored": stored, "times": 1})
    with pytest.raises(ConnectionError):
        await send(wire)
    assert (await mail.counts())["received"] == stored


@pytest.mark.parametrize("stored", [True, False])
async def test_a_hang_never_answers(wire, mail, stored):
    await mail.set_faults(accept_and_hang={"stored": stored})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(send(wire), 0.5)
    assert (await mail.counts())["received"] == stored


async def test_slow_delays_the_answer_to_content_alone(wire, mail):
    await mail.set_faults(slow_seconds={"value": 0.4, "times": 1})
    begun = time.monotonic()
    await send(wire)
    assert 0.4 <= time.monotonic() - begun < 2
    begun = time.monotonic()
    await send(wire)
    assert time.monotonic() - begun < 0.4


async def test_auth_can_be_refused_on_smtp_and_imap(mail, platform):
    await mail.set_faults(refuse_auth={"service": "all", "code": 454, "text": "4.7.0 Temporary"})
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as wire:
        assert await wire.login("anna") == "454 4.7.0 Temporary"

    def imap() -> None:
        box = MailBoxUnencrypted(platform.ports.host, platform.ports.imap, timeout=5)
        with pytest.raises(MailboxLoginError):
            box.login("anna", "secret")

    await asyncio.to_thread(imap)


async def test_down_hangs_up_on_everyone_until_lifted(mail, platform):
    await mail.set_faults(down={"service": "all"})
    for port in (platform.ports.smtp, platform.ports.imap):
        with pytest.raises(ConnectionError):
            async with SmtpWire.open(platform.ports.host, port):
                pass
    await mail.clear_faults()
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as wire:
        assert (await wire.login("anna")).startswith("235")


async def test_connections_can_be_cut(wire, mail, platform):
    box = await asyncio.to_thread(
        lambda: MailBoxUnencrypted(platform.ports.host, platform.ports.imap, timeout=5).login("anna", "secret")
    )
    assert await mail.drop_connections("smtp") == {"smtp": 1, "imap": 0}
    assert await wire.closed()
    await asyncio.to_thread(box.client.noop)
    assert await mail.drop_connections() == {"smtp": 0, "imap": 1}
    with pytest.raises((OSError, box.client.abort)):
        await asyncio.to_thread(box.client.noop)


async def test_faults_add_up_and_are_lifted_one_by_one(mail):
    await mail.set_faults(slow_seconds=1)
    await mail.add_faults(down=True, refuse_4xx=None)
    assert set(await mail.faults()) == {"slow_seconds", "down"}
    await mail.clear_faults("down")
    assert set(await mail.faults()) == {"slow_seconds"}


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"no_such_fault": True}, "no_such_fault"),
        ({"slow_seconds": -1}, "greater than or equal"),
        ({"slow_seconds": True}, "valid dictionary"),
        ({"throttle_account": {"sender": "a"}}, "needs a value"),
        ({"refuse_4xx": {"at": "mail", "recipient": "x"}}, "before a recipient is known"),
        ({"refuse_4xx": {"text": "two\r\nlines"}}, "pattern"),
        ({"refuse_4xx": {"colour": "red"}}, "colour"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_and_changes_nothing(mail, faults, words):
    await mail.set_faults(down=True)
    with pytest.raises(httpx.HTTPStatusError, match="422") as refused:
        await mail.set_faults(**faults)
    assert words in str(refused.value)
    assert set(await mail.faults()) == {"down"}
