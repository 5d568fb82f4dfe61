"""Browsers that die, freeze, grow, sleep or move: nothing is lost, nothing goes out twice, and people are told."""

import asyncio
import os
import signal

import psutil
import pytest
import pytest_asyncio
from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.parts import message_id
from channelkit.protocol import OutcomeUnknown
from contracts.state import SessionStatus
from servicekit.errors import Retry

from tests.integration.channel_whatsapp.conftest import OWN, READY, opened
from tests.integration.channel_whatsapp.recorder import Recorder
from tests.support.recorder import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
SITI = "+628120000201"
CONNECTING, AWAITING_PERSON = SessionStatus.CONNECTING, SessionStatus.AWAITING_PERSON


async def send(session, out):
    """Send as the lane does: what may come again by itself is tried again."""
    while True:
        try:
            return await session.sender().send(out, lambda: None)
        except Retry:
            await asyncio.sleep(0.1)


async def copies(whatsapp, out):
    return (await whatsapp.counts_by_message_id([message_id(out.platform_key(0))]))["copies"]


def processes(session):
    profile = str(session.life.browser.kept.folder.profile)
    return [p for p in psutil.process_iter(["cmdline"]) if any(profile in part for part in p.info["cmdline"] or [])]


async def again_ready(host, times):
    await eventually(lambda: [status for status, _ in host.reports].count(READY) > times and host.status is READY, 60)


@pytest_asyncio.fixture(loop_scope="module")
async def host(link):
    """An account that was linked before: what a browser has written in its first seconds, a crash takes away."""
    host = Recorder()
    async with link(host):
        pass
    host.reports.clear()
    return host


async def test_a_killed_browser_is_started_anew_and_loses_nothing(link, whatsapp, attempt, host):
    async with link(host) as session:
        before = attempt()
        await send(session, before)
        os.kill(processes(session)[0].pid, signal.SIGKILL)
        await whatsapp.write(SITI, OWN, "sementara mati")
        await again_ready(host, 1)
        assert any(status is CONNECTING and "anew" in reason for status, reason in host.reports)
        await eventually(lambda: host.received("sementara mati"))
        after = attempt()
        await send(session, after)
        assert [await copies(whatsapp, out) for out in (before, after)] == [1, 1]
        assert len(host.published) == len(set(host.published))


@pytest.mark.parametrize("at", ["before", "after"])
async def test_a_page_that_crashes_while_sending_leaves_no_copy(link, whatsapp, attempt, host, at):
    """Before the server took it nobody can say so: unknown. After it, the page is told by the server: sent."""
    async with link(host) as session:
        out, lost = attempt(), attempt()
        session.fates.handed(message_id(lost.platform_key(0)))
        await whatsapp.set_faults(crash_on_send={"at": at, "times": 1})
        with pytest.raises(OutcomeUnknown):
            await send(session, out)
        known = await session.was_sent(out.platform_key(0), out.command)
        assert known == (message_id(out.platform_key(0)) if at == "after" else None)
        assert await copies(whatsapp, out) == (1 if at == "after" else 0)
        assert await session.was_sent(lost.platform_key(0), lost.command) is None  # the dead page may have sent it


async def test_a_frozen_page_is_noticed_and_started_anew(link, whatsapp, attempt, host):
    async with link(host) as session:
        out = attempt()
        await whatsapp.set_faults(freeze_on_send={"value": 60, "at": "after", "times": 1})
        began = asyncio.get_running_loop().time()
        with pytest.raises(OutcomeUnknown):
            await send(session, out)
        assert asyncio.get_running_loop().time() - began < 30
        assert await session.was_sent(out.platform_key(0), out.command) == message_id(out.platform_key(0))
        assert await copies(whatsapp, out) == 1
        assert any("not answered" in reason for _, reason in host.reports)


async def test_a_page_that_has_grown_is_loaded_anew_between_messages(link, whatsapp, attempt, settings):
    host = Recorder()
    async with link(host) as session:
        await whatsapp.set_faults(slow_seconds=0.7)  # so that one is always out
        outs = [attempt() for _ in range(8)]
        sending = asyncio.create_task(asyncio.wait_for(_send_all(session, outs), 60))
        session.growth.limit_bytes = 1
        await eventually(lambda: session.life.generation == 2, 60)
        session.growth.limit_bytes = settings.page_limit_mb * 1e6
        await whatsapp.write(SITI, OWN, "di tengah muat ulang")
        await sending
        await eventually(lambda: host.received("di tengah muat ulang"))
        assert [await copies(whatsapp, out) for out in outs] == [1] * 8
        assert len(host.vault) == 1
        assert session.life.unclean_generation == 1


async def _send_all(session, outs):
    for out in outs:
        await send(session, out)


async def test_closing_gives_the_memory_back_and_keeps_the_login(link, settings):
    host = Recorder()
    async with link(host) as session:
        browser, began = session.life.browser.browser, asyncio.get_running_loop().time()
        assert await browser.memory_bytes() > 20e6
        await session.close()
        assert asyncio.get_running_loop().time() - began < 5
        assert not processes(session)
        assert await browser.memory_bytes() == 0
    assert host.vault
    async with link(host):
        assert SessionStatus.AWAITING_QR not in [s for s, _ in host.reports[host.reports.index((READY, "")) :]]


async def test_another_volume_goes_on_from_the_vault_but_not_after_a_crash(link, driver, settings, tmp_path):
    host = Recorder()
    elsewhere = WhatsAppChannel(settings.model_copy(update={"profiles": tmp_path}))
    try:
        async with link(host):
            pass
        async with link(host, elsewhere):
            assert [status for status, _ in host.reports].count(SessionStatus.AWAITING_QR) == 1
        kept = dict(host.memos)
        async with link(host, elsewhere):
            in_use = dict(host.memos)
        host.memos = in_use  # what is written while it runs, as after a crash
        assert in_use != kept
        session = await driver.open(host)
        try:
            await eventually(lambda: host.status is AWAITING_PERSON)
            assert "another volume" in host.reports[-1][1]
            await session.answer("", "new", resend=False)
            await eventually(lambda: host.status is SessionStatus.AWAITING_QR)
        finally:
            await session.close()
    finally:
        await elsewhere.close()


async def test_a_page_that_loads_itself_anew_goes_on_and_admits_what_it_forgot(link, whatsapp, attempt):
    host = Recorder()
    async with link(host) as session:
        out = attempt()
        session.fates.handed(message_id(out.platform_key(0)))
        assert await session.was_sent(out.platform_key(0), out.command) is False
        await session.life.page.page.reload()
        after = attempt()
        await send(session, after)
        assert await copies(whatsapp, after) == 1
        assert await session.was_sent(out.platform_key(0), out.command) is None
        await whatsapp.write(SITI, OWN, "setelah muat ulang")
        await eventually(lambda: host.received("setelah muat ulang"))


async def test_with_nothing_to_send_the_browser_sleeps_and_wakes_for_a_message(driver, whatsapp, attempt):
    host = Recorder(sleep_minutes=1)
    async with opened(driver, whatsapp, host, OWN) as session:
        session.life._worked_at -= 61
        await eventually(lambda: session.life.asleep)
        assert not processes(session)
        await session.probe()
        out = attempt()
        await send(session, out)
        assert await copies(whatsapp, out) == 1
    await whatsapp.log_out(OWN)
