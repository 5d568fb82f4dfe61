"""The life of a session: ended from elsewhere, cut, closed, deleted; and how little a thousand of them weigh."""

import asyncio
import gc
import os
import time

import psutil
import pytest
from channel_telegram.model import Place
from channel_telegram.vaultform import VaultForm
from channelkit.protocol import NeedsLogin
from servicekit.errors import Retry

from tests.integration.channel_telegram.recorder import Recorder, attempt, send
from tests.support.recorder import eventually


@pytest.mark.parametrize(
    ("error", "forget_keys", "said"),
    [
        ("AUTH_KEY_UNREGISTERED", False, "from another device"),
        ("SESSION_REVOKED", False, "from another device"),
        ("USER_DEACTIVATED_BAN", False, "banned"),
        ("AUTH_KEY_UNREGISTERED", True, "no longer knows"),
    ],
)
async def test_logged_out_from_the_phone_it_knows_at_once(  # noqa: PLR0917  # fixtures
    telegram, signed_in, me, open_session, error, forget_keys, said
):
    _, host = signed_in
    began = time.monotonic()
    await telegram.client.log_out(me, error, forget_keys=forget_keys)
    await eventually(lambda: host.status == "logged_out", what=str(host.reports))
    assert time.monotonic() - began < 10, "without a send, without a probe"
    assert said in host.reason
    later = host.again()
    await open_session(later)
    await eventually(lambda: later.reports)
    assert (later.status, later.reason) == ("logged_out", host.reason), "a restart asks for nothing"
    person = host.again(login_version=2)
    session = await open_session(person)
    await eventually(lambda: person.status == "awaiting_code")
    await session.answer(person.challenge.id, await telegram.client.last_code(me), resend=False)
    assert person.status == "ready"


async def test_after_a_new_login_what_came_in_between_is_there(telegram, signed_in, me, to, open_session):
    _, host = signed_in
    await eventually(lambda: host.positions)
    await telegram.client.log_out(me)
    await eventually(lambda: host.status == "logged_out")
    await telegram.client.write(to, me, "saat keluar")
    person = host.again(login_version=2)
    session = await open_session(person)
    await eventually(lambda: person.status == "awaiting_code")
    await session.answer(person.challenge.id, await telegram.client.last_code(me), resend=False)
    await eventually(lambda: person.texts() == ["saat keluar"])


async def test_used_from_two_places_at_once_the_login_ends_with_its_reason(telegram, signed_in, open_session):
    _, host = signed_in
    await telegram.client.switch(one_connection_per_key=True)
    frozen = host.again()  # another holder of the same login
    await open_session(frozen)
    await eventually(lambda: "logged_out" in {host.status, frozen.status}, what=f"{host.reports} {frozen.reports}")
    ended = host if host.status == "logged_out" else frozen
    assert "two places at once" in ended.reason
    assert "AUTH_KEY_DUPLICATED" in ended.reason


async def test_a_probe_truly_asks(telegram, signed_in, me):
    session, host = signed_in
    await session.probe()
    await telegram.client.set_faults(hang={"method": "users.getUsers"})
    with pytest.raises(Retry):
        await asyncio.wait_for(_probe(session, seconds=1.0), 5)
    await telegram.client.clear_faults()
    await telegram.client.set_faults(refuse={"error": "SESSION_REVOKED", "method": "users.getUsers"})

    async def ended():
        try:
            await session.probe()
        except NeedsLogin:
            return True
        except Retry:
            return host.status == "logged_out"

    await eventually(ended)


async def _probe(session, seconds):
    session._settings = session._settings.model_copy(update={"probe_timeout_seconds": seconds})
    await session.probe()


async def test_closed_it_leaves_the_login_and_nothing_behind(telegram, signed_in, me):
    session, host = signed_in
    await session.close()
    await eventually(lambda: _connections(telegram, me, 0))
    assert (await telegram.client.user(me))["logins"] == 1
    assert host.status == "ready"
    with pytest.raises(Retry):
        await send(session, attempt("+628220000001"))


async def test_deleted_it_logs_out_on_the_platform(telegram, signed_in, me, open_session):
    session, host = signed_in
    await session.log_out()
    assert (await telegram.client.user(me))["logins"] == 0
    assert host.status == "ready", "nothing more is said of it"


async def test_deleted_while_closed_it_is_opened_once_more_to_log_out(telegram, signed_in, me, open_session):
    session, host = signed_in
    await session.close()
    later = host.again(status="deleting")
    session = await open_session(later)
    await session.log_out()
    assert (await telegram.client.user(me))["logins"] == 0


async def test_deleted_without_a_login_no_code_is_sent(telegram, me, open_session):
    await telegram.client.put_user(me)
    host = Recorder(me)
    host.account = host.account.model_copy(update={"status": "deleting"})
    await open_session(host)
    await asyncio.sleep(0.5)
    assert host.challenge is None
    assert not any(status == "awaiting_code" for status, _ in host.reports)


async def _connections(telegram, phone, count):
    return (await telegram.client.user(phone))["connections"] == count


async def test_many_idle_sessions_weigh_little_and_give_everything_back(telegram, make_driver):
    """A thousand within 250 MB of the process in all; here a part of them, measured each alone."""
    count, driver, sessions, hosts = 150, make_driver(), [], []
    first = 62_855_000_0000
    await telegram.client.put_people(first=f"+{first}", count=count + 5)
    logins = [await telegram.client.make_login(f"+{first + n}") for n in range(count + 5)]

    async def begin(some):
        for n in some:
            host = Recorder(f"+{first + n}", account_id=f"acc{n}")
            host.vault = _sealed(host, logins[n])
            hosts.append(host)
            sessions.append(await driver.open(host))
        await eventually(lambda: all(one.status == "ready" and one.positions for one in hosts), seconds=120)

    await begin(range(5))  # what the first ones load once
    before = _memory()
    await begin(range(5, count + 5))
    grown = _memory() - before
    print(f"{grown / count / 1000:.0f} kB per idle session")
    assert grown / count < 150_000, f"{grown / count / 1000:.0f} kB per account"
    for session in sessions:
        await session.close()
    tasks = [one for one in asyncio.all_tasks() if "telegram" in one.get_name() or "telethon" in repr(one.get_coro())]
    assert tasks == []


def _sealed(host, login):
    """Return a vault's content for a login made by the practice server."""
    form = VaultForm(phone=host.account.settings["client_id"], login_version=1, user_id=login["user_id"])
    place = Place(login["dc"], login["host"], login["port"])
    return form.at(place, bytes.fromhex(login["auth_key"])).model_dump_json().encode()


def _memory():
    gc.collect()
    return psutil.Process(os.getpid()).memory_info().rss
