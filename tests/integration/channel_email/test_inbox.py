"""Reading replies from a real IMAP server, across everything it does to a reader."""

import asyncio
import threading
import time

import pytest
from channel_email.channel import EmailChannel
from channel_email.imap import Mailbox
from channelkit.protocol import Credentials, NeedsLogin
from contracts.channels import Channel
from contracts.email import Auth, Security
from contracts.inbox import Bounced
from contracts.state import SessionStatus
from servicekit.errors import Conflict, Retry

from tests.integration.channel_email.recorder import SENDER, Recorder, open_session, send_all
from tests.support.recorder import Attempt, eventually


@pytest.fixture
async def watch(app_settings):
    """Open sessions that are closed when the test ends."""
    opened = []

    async def start(host, account):
        session = open_session(host, app_settings, account)
        session.start()
        opened.append(session)
        await eventually(lambda: host.status is SessionStatus.READY and "INBOX" in host.positions)
        return session

    yield start
    for session in opened:
        await session.close()


def texts(host):
    return sorted(event.text for event in host.events.values())


async def test_begins_at_the_end_and_announces_what_comes(watch, host, account, mail):
    await mail.client.put_account(SENDER)
    await mail.client.inject(SENDER, text="lama")
    await watch(host, account)
    for n in range(5):
        await mail.client.inject(SENDER, text=f"baru {n}")
    await mail.client.inject(SENDER, text="baru junk", folder="Junk")
    await eventually(lambda: len(host.events) == 6)
    assert texts(host) == [*(f"baru {n}" for n in range(5)), "baru junk"]
    assert len(host.published) == 6


async def test_idle_hears_at_once(watch, host, account, app_settings, mail):
    app_settings.poll_seconds = 60.0
    await watch(host, account)
    await asyncio.sleep(0.5)
    await mail.client.inject(SENDER, text="cepat")
    await eventually(lambda: texts(host) == ["cepat"], seconds=5)


async def test_news_that_comes_with_another_answer_ends_the_idle_at_once(account, mail):
    """Mail that arrives between looking into the folder and IDLE is announced once, with whatever is answered then."""
    await mail.client.put_account(SENDER)
    box = await asyncio.to_thread(Mailbox.connect, account, "secret", practice=True, timeout=5)
    await asyncio.to_thread(box.select, "INBOX")
    box.look_anew()
    await mail.client.inject(SENDER, sender="u@practice.test", subject="now", text="now")
    await asyncio.to_thread(box.status, "Junk")
    began = time.monotonic()
    await asyncio.to_thread(box.idle, 20, threading.Event())
    assert time.monotonic() - began < 2
    box.look_anew()
    began = time.monotonic()
    await asyncio.to_thread(box.idle, 1, threading.Event())
    assert time.monotonic() - began > 0.9, "what was announced before is not news again"
    await asyncio.to_thread(box.close)


async def test_older_mail_is_fetched_where_asked_for(watch, host, account, mail):
    await mail.client.put_account(SENDER)
    await mail.client.inject(SENDER, text="lama")
    imap = account.imap.model_copy(update={"import_days": 3})
    await watch(host, account.model_copy(update={"imap": imap}))
    await eventually(lambda: texts(host) == ["lama"])


async def test_cut_connections_lose_and_double_nothing(watch, host, account, mail):
    await watch(host, account)
    for n in range(12):
        await mail.client.inject(SENDER, text=f"n{n:02}")
        if n % 4 == 3:
            await mail.client.drop_connections("imap")
    await eventually(lambda: len(host.events) == 12)
    assert texts(host) == [f"n{n:02}" for n in range(12)]
    assert host.reports[-1][0] in (SessionStatus.READY, SessionStatus.DEGRADED)
    await eventually(lambda: host.status is SessionStatus.READY)


async def test_the_next_holder_goes_on_where_the_last_one_stopped(watch, host, account, mail):
    first = await watch(host, account)
    await mail.client.inject(SENDER, text="satu")
    await eventually(lambda: texts(host) == ["satu"])
    await first.close()
    await mail.client.inject(SENDER, text="dua")
    heir = Recorder(account)
    heir.positions = host.positions
    await watch(heir, account)
    await eventually(lambda: texts(heir) == ["dua"])


async def test_a_lease_that_lapsed_for_a_moment_does_not_end_the_reading(watch, account, mail):
    host = Lapsing(account)
    await watch(host, account)
    host.lapsed = True
    await mail.client.inject(SENDER, text="satu")
    await eventually(lambda: host.refused)
    host.lapsed = False
    await mail.client.inject(SENDER, text="dua")
    await eventually(lambda: texts(host) == ["dua", "satu"])


class Lapsing(Recorder):
    """A host whose lease may be gone."""

    lapsed, refused = False, 0

    async def save_cursor(self, positions):
        if self.lapsed:
            self.refused += 1
            raise Conflict("the account has another holder")
        await super().save_cursor(positions)


async def test_a_new_uidvalidity_loses_nothing_and_ids_tell_what_is_known(watch, host, account, mail):
    await watch(host, account)
    await mail.client.inject(SENDER, text="sebelum")
    await eventually(lambda: texts(host) == ["sebelum"])
    await mail.client.new_uidvalidity(SENDER)
    await mail.client.inject(SENDER, text="sesudah")
    await mail.client.drop_connections("imap")
    await eventually(lambda: len(host.events) == 2)
    assert texts(host) == ["sebelum", "sesudah"]  # by id: what was read twice has the same


async def test_replies_bounces_and_complaints_lead_back_to_their_rows(watch, host, account, command, mail):
    session = await watch(host, account)
    to = {1: "reply-1", 2: "bounce-2", 3: "softbounce-3", 4: "autoreply-4", 5: "complain-5", 6: "u6"}
    sender = session.sender()
    await send_all(sender, [Attempt(command(n, f"{local}@practice.test")) for n, local in to.items()])
    await eventually(lambda: len(host.events) == 5)
    received = {event.answers_row: event for event in host.events.values() if not isinstance(event, Bounced)}
    assert {row: event.auto_reply for row, event in received.items()} == {"row1": False, "row4": True}
    assert received["row1"].conversation == "reply-1@practice.test"
    bounced = {event.row: event for event in host.events.values() if isinstance(event, Bounced)}
    assert {row: (one.kind, one.hard, one.address) for row, one in bounced.items()} == {
        "row2": ("bounce", True, "bounce-2@practice.test"),
        "row3": ("bounce", False, "softbounce-3@practice.test"),
        "row5": ("complaint", True, "complain-5@practice.test"),
    }


async def test_a_5_mb_mail_is_read_and_a_30_mb_mail_is_a_stub(watch, host, account, mail):
    await watch(host, account)
    await mail.client.inject(SENDER, text="besar", size_mb=5)
    await mail.client.inject(SENDER, text="raksasa", subject="Raksasa", size_mb=30)
    await mail.client.inject(SENDER, text="kecil")
    await eventually(lambda: len(host.events) == 3, seconds=60)
    by_stub = {event.stub: event for event in host.events.values() if event.text != "kecil"}
    assert by_stub[None].text.startswith("besar")
    assert by_stub[None].attachments[0].size > 4_900_000
    assert by_stub["too_large"].subject == "Raksasa"
    assert [error.split(":")[0] for _, error in host.dead] == ["too_large"]


async def test_imap_trouble_is_shown_and_sending_goes_on(watch, host, account, command, mail):
    session = await watch(host, account)
    await mail.client.set_faults(down={"service": "imap"})
    await mail.client.drop_connections("imap")
    await eventually(lambda: host.status is SessionStatus.DEGRADED)
    assert host.reports[-1][1].startswith("IMAP: ")
    await session.sender().send(Attempt(command(1)), lambda: None)
    assert (await mail.client.counts())["received"] == 1
    await mail.client.clear_faults()
    await eventually(lambda: host.status is SessionStatus.READY)


async def test_answers_are_kept_in_the_sent_folder_and_campaigns_are_not(watch, host, account, command, mail):
    session = await watch(host, account)
    sender = session.sender()
    await sender.send(Attempt(command(1, kind="reply")), lambda: None)
    await sender.send(Attempt(command(2)), lambda: None)
    for _ in range(100):
        if kept := await mail.client.mailbox(SENDER, "Sent"):
            break
        await asyncio.sleep(0.05)
    assert [one["subject"] for one in kept] == ["Halo 1"]


async def test_a_copy_that_cannot_be_kept_is_a_line_in_the_log(watch, host, account, command, mail):
    session = await watch(host, account)
    await mail.client.set_faults(down={"service": "imap"})
    await session.sender().send(Attempt(command(1, kind="reply")), lambda: None)
    await eventually(lambda: any("Sent folder" in line for line in host.lines))


async def test_wrong_password_and_server_down_at_the_start(app_settings, account, mail):
    wrong = Recorder(account, password="salah")
    session = open_session(wrong, app_settings, account)
    session.start()
    await eventually(lambda: wrong.status is SessionStatus.FAILED)
    assert "535" in wrong.reports[-1][1]
    await session.close()
    await mail.client.set_faults(down={"service": "all"})
    host = Recorder(account)
    session = open_session(host, app_settings, account)
    session.start()
    await eventually(lambda: host.status is SessionStatus.DEGRADED)
    await mail.client.clear_faults()
    await eventually(lambda: host.status is SessionStatus.READY)
    await session.close()


async def test_credentials_refused_a_moment_ago_are_not_tried_again(app_settings, account, mail):
    channel = EmailChannel(app_settings)
    for _ in range(2):
        host = Recorder(account, password="salah")
        session = await channel.open(host)
        await eventually(lambda: host.status is SessionStatus.FAILED)  # noqa: B023  # asked at once
        assert "535" in host.reports[-1][1]
        await session.close()
    assert (await mail.client.deliveries())["opened"] == 1


async def test_an_access_token_signs_in_to_both_servers(watch, account, command, mail):
    await mail.client.put_account(SENDER, password="lain", token="token-123")
    smtp = account.smtp.model_copy(update={"auth": Auth.XOAUTH2})
    imap = account.imap.model_copy(update={"auth": Auth.XOAUTH2})
    account = account.model_copy(update={"smtp": smtp, "imap": imap})
    host = Recorder(account, password="token-123")
    session = await watch(host, account)
    await session.sender().send(Attempt(command(1)), lambda: None)
    await mail.client.inject(SENDER, text="masuk")
    await eventually(lambda: texts(host) == ["masuk"])


async def test_implicit_tls_and_probes(watch, host, account, mail):
    smtp = account.smtp.model_copy(update={"port": mail.ports.smtps, "security": Security.TLS})
    session = await watch(host, account.model_copy(update={"smtp": smtp}))
    session._proof_at = 0.0
    await session.probe()
    session._proof_at = session._signed_in_at = 0.0
    await mail.client.put_account(SENDER, password="baru")
    with pytest.raises(NeedsLogin):
        await session.probe()
    await mail.client.set_faults(down=True)
    with pytest.raises(Retry):
        await session.probe()


async def steps(app_settings, account, password="secret"):
    channel = EmailChannel(app_settings)
    found = await channel.test(Channel.EMAIL, account.model_dump(), Credentials({"smtp_password": password}))
    return {step.name: step for step in found}


async def test_unsaved_settings_are_tested_step_by_step(app_settings, account, mail):
    good = await steps(app_settings, account)
    assert all(step.ok for step in good.values())
    assert list(good) == [
        "smtp resolve",
        "smtp connect",
        "smtp tls",
        "smtp auth",
        "imap resolve",
        "imap tls",
        "imap auth",
        "imap folders",
    ]
    bad = await steps(app_settings, account, "salah")
    assert not bad["smtp auth"].ok
    assert "535" in bad["smtp auth"].detail
    assert not bad["imap auth"].ok
    assert "salah" not in repr(bad)


async def test_every_failure_of_a_test_is_named(app_settings, account, mail):
    def with_smtp(**changes):
        return account.model_copy(update={"imap": None, "smtp": account.smtp.model_copy(update=changes)})

    assert not (await steps(app_settings, with_smtp(host="no-such-host.invalid")))["smtp resolve"].ok
    assert not (await steps(app_settings, with_smtp(port=1)))["smtp connect"].ok
    untrusted = (await steps(app_settings, account.model_copy(update={"ca_file": None, "imap": None})))["smtp tls"]
    assert "certificate is not trusted" in untrusted.detail
    wrong_port = (await steps(app_settings, with_smtp(security=Security.TLS)))["smtp tls"]
    assert "choose STARTTLS" in wrong_port.detail
    imap = account.imap.model_copy(update={"port": mail.ports.imap, "security": Security.TLS})
    wrong_port = (await steps(app_settings, account.model_copy(update={"imap": imap})))["imap tls"]
    assert "choose STARTTLS" in wrong_port.detail
    plain = (await steps(app_settings, with_smtp(security=Security.NONE)))["smtp auth"]
    assert not plain.ok
    assert plain.detail
    invalid = await EmailChannel(app_settings).test(Channel.EMAIL, {"smtp": {"host": "x"}}, Credentials({}))
    assert [(one.name, one.ok) for one in invalid] == [("settings", False)]
    assert "from_address" in invalid[0].detail
