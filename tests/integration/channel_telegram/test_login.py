"""Logging in as the product says: each way it can go is a state and a clear word."""

import logging
from datetime import UTC, datetime

import httpx
import pytest
from servicekit.errors import Permanent, Unavailable
from telethon.errors import SecurityError
from telethon.network import authenticator

from tests.integration.channel_telegram.conftest import log_in
from tests.integration.channel_telegram.recorder import Recorder, attempt, send
from tests.support.recorder import eventually


@pytest.fixture
def host(me):
    return Recorder(me)


@pytest.fixture(autouse=True)
async def _there(telegram, me):
    await telegram.client.put_user(me, name="Toko")


async def asked(host, status="awaiting_code"):
    await eventually(lambda: host.status == status, what=f"{status} ({host.reports})")
    return host.challenge


async def test_a_code_logs_in_and_a_restart_needs_none(telegram, open_session, host, me, make_driver):
    session = await open_session(host)
    challenge = await asked(host)
    assert challenge.kind == "code"
    assert "Telegram app" in challenge.hint
    assert "by SMS" in challenge.hint
    assert challenge.resend_after
    with pytest.raises(Permanent, match="wrong_code"):
        await session.answer(challenge.id, "00000x", resend=False)
    assert host.challenge == challenge, "the question stays"
    code = await telegram.client.last_code(me)
    await session.answer(challenge.id, f" {code[:2]}-{code[2:]} ", resend=False)
    assert (host.status, host.identity) == ("ready", me)
    await session.close()

    later = host.again()
    await open_session(later, make_driver())
    await eventually(lambda: later.status == "ready", what=f"ready again ({later.reports})")
    assert [status for status, _ in later.reports] == ["ready"]
    assert (await telegram.client.user(me))["logins"] == 1


async def test_a_key_the_library_refuses_is_agreed_anew_and_nobody_notices(monkeypatch, telegram, open_session, host):
    agree, tries = authenticator.do_authentication, []

    async def agree_at_last(sender):
        tries.append(await agree(sender))
        if len(tries) < 3:
            raise SecurityError("Step 3 invalid new nonce hash")
        return tries[-1]

    monkeypatch.setattr(authenticator, "do_authentication", agree_at_last)
    await log_in(telegram, open_session, host)
    assert len(tries) == 3
    assert [status for status, _ in host.reports] == ["awaiting_code", "ready"]


async def test_a_restart_goes_on_with_the_same_question_and_no_second_code(telegram, open_session, host, me):
    calls = (await telegram.client.calls()).get("auth.sendCode", 0)
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    await session.close()
    later = host.again()
    session = await open_session(later)
    assert await asked(later) == challenge
    assert await telegram.client.last_code(me) == code
    assert (await telegram.client.calls())["auth.sendCode"] == calls + 1
    await session.answer(challenge.id, code, resend=False)
    assert later.status == "ready"


async def test_a_lost_connection_leaves_the_question(telegram, open_session, host, me):
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    cut = session.connection
    await telegram.client.disconnect()
    await eventually(lambda: cut.closed and session._link._connection not in (None, cut))
    await session.answer(challenge.id, code, resend=False)
    assert host.status == "ready"
    assert await telegram.client.user(me)


async def test_two_step_verification_asks_for_the_password_also_after_a_restart(telegram, open_session, host, me):
    await telegram.client.put_user(me, password="rahasia", hint="kucing")
    session = await open_session(host)
    await session.answer((await asked(host)).id, await telegram.client.last_code(me), resend=False)
    challenge = await asked(host, "awaiting_password")
    assert (challenge.kind, challenge.hint) == ("password", "kucing")
    with pytest.raises(Permanent, match="wrong_password"):
        await session.answer(challenge.id, "salah", resend=False)
    with pytest.raises(Permanent, match="no_resend"):
        await session.answer(challenge.id, "", resend=True)
    await session.close()
    later = host.again()
    session = await open_session(later)
    assert await asked(later, "awaiting_password") == challenge
    await session.answer(challenge.id, "rahasia", resend=False)
    assert later.status == "ready"


async def test_a_code_is_sent_again_only_when_a_person_asks_and_not_too_early(telegram, open_session, host, me):
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    with pytest.raises(Permanent, match="resend_too_early"):
        await session.answer(challenge.id, "", resend=True)
    await eventually(lambda: datetime.now(UTC) > challenge.resend_after)
    await session.answer(challenge.id, "", resend=True)
    assert host.challenge.id != challenge.id
    assert "by SMS" in host.challenge.hint.split(";")[0]
    with pytest.raises(Permanent, match="stale_challenge"):
        await session.answer(challenge.id, code, resend=False)
    await session.answer(host.challenge.id, await telegram.client.last_code(me), resend=False)
    assert host.status == "ready"


async def test_an_expired_code_says_so_and_can_be_sent_again(telegram, open_session, host, me):
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    await telegram.client.expire_codes(me)
    with pytest.raises(Permanent, match="expired_code"):
        await session.answer(challenge.id, code, resend=False)
    assert host.status == "awaiting_code"
    assert "expired" in host.reason
    assert host.challenge.id != challenge.id
    with pytest.raises(httpx.HTTPStatusError):
        await telegram.client.last_code(me)  # none was sent by itself
    await session.answer(host.challenge.id, "", resend=True)
    assert host.reason == ""
    await session.answer(host.challenge.id, await telegram.client.last_code(me), resend=False)
    assert host.status == "ready"


async def test_a_number_that_lives_elsewhere_is_followed(telegram, open_session, host, me, to):
    await telegram.client.put_user(me, home_dc=4)
    session = await log_in(telegram, open_session, host)
    assert await send(session, attempt(to))
    await session.close()
    later = host.again()
    session = await open_session(later)
    await eventually(lambda: later.status == "ready", what=f"ready again ({later.reports})")
    assert session.connection.place.dc == 4


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("PHONE_NUMBER_BANNED", "banned"),
        ("PHONE_NUMBER_INVALID", "phone number"),
        ("PHONE_NUMBER_FLOOD", "in a day"),
        ("SOMETHING_ELSE", "SOMETHING_ELSE"),
    ],
)
async def test_a_number_that_gets_no_code_is_asked_for_once(telegram, open_session, host, me, error, said):  # noqa: PLR0917  # fixtures
    await telegram.client.set_faults(refuse={"error": error, "code": 400, "method": "auth.sendCode"})
    await open_session(host)
    await eventually(lambda: host.status == "logged_out", what=f"logged out ({host.reports})")
    assert said in host.reason
    await telegram.client.clear_faults()
    later = host.again()
    await open_session(later)  # as after a restart of the service
    await eventually(lambda: later.status == "logged_out")
    assert later.reason == host.reason
    with pytest.raises(httpx.HTTPStatusError):
        await telegram.client.last_code(me)
    person = host.again(login_version=2)  # a person presses *log in* again
    await open_session(person)
    await asked(person)


async def test_a_number_without_an_account_is_told_so(telegram, open_session):
    nobody = "+628990000000"
    host = Recorder(nobody)
    session = await open_session(host)
    await eventually(lambda: host.status in {"awaiting_code", "logged_out"}, what=str(host.reports))
    if host.status == "awaiting_code":
        with pytest.raises(Permanent, match="not_registered"):
            await session.answer(host.challenge.id, await telegram.client.last_code(nobody), resend=False)
    assert host.status == "logged_out"
    assert "no Telegram account" in host.reason


async def test_a_flood_wait_is_said_and_waited_for(telegram, open_session, host, me):
    await telegram.client.set_faults(refuse={"error": "FLOOD_WAIT_3", "method": "auth.sendCode", "times": 1})
    await open_session(host)
    await eventually(lambda: host.status == "failed", what=str(host.reports))
    assert "wait until" in host.reason
    for _ in range(3):  # the kit opens failed sessions again
        later = host.again()
        await open_session(later)
        await eventually(lambda h=later: h.status)
        if later.status != "failed":
            break
        assert "wait until" in later.reason
    with pytest.raises(httpx.HTTPStatusError):
        await telegram.client.last_code(me)

    async def again():
        later = host.again()
        session = await open_session(later)
        await eventually(lambda: later.status)
        await session.close()
        return later.status == "awaiting_code"

    await eventually(again, what="the code once the wait is over")


async def test_without_an_application_it_says_what_is_missing(telegram, open_session, host, me):
    await open_session(host, api_id=0)
    await eventually(lambda: host.status == "failed")
    assert "CHANNEL_TELEGRAM_API_ID" in host.reason
    assert "my.telegram.org" in host.reason
    wrong = Recorder(me)
    await telegram.client.set_faults(refuse={"error": "API_ID_INVALID", "method": "auth.sendCode"})
    await open_session(wrong)
    await eventually(lambda: wrong.status == "failed")
    assert "CHANNEL_TELEGRAM_API_HASH" in wrong.reason


async def test_another_number_logs_the_former_one_out(telegram, open_session, signed_in, me):
    session, host = signed_in
    await session.close()
    other = "+628990000002"
    await telegram.client.put_user(other)
    changed = host.again(settings={"client_id": other}, login_version=2)
    session = await open_session(changed)
    await session.answer((await asked(changed)).id, await telegram.client.last_code(other), resend=False)
    assert (changed.status, changed.identity) == ("ready", other)
    assert (await telegram.client.user(me))["logins"] == 0


async def test_a_code_that_cannot_be_kept_is_not_asked_for_in_a_loop(telegram, open_session, host, me):
    """The process dies after Telegram sent the code and before it is in the vault: the next one waits."""
    saves = []
    keep = host.save_session

    async def dies(data):
        saves.append(data)
        if len(saves) > 1:
            raise OSError("killed")
        await keep(data)

    host.save_session = dies
    await open_session(host)
    await eventually(lambda: host.status == "failed", what=str(host.reports))
    code = await telegram.client.last_code(me)
    for _ in range(2):
        later = host.again()
        later.__dict__.pop("save_session")
        await open_session(later)
        await eventually(lambda h=later: h.status == "failed", what=str(later.reports))
    assert await telegram.client.last_code(me) == code


async def test_no_secret_is_logged(telegram, open_session, host, me, caplog, capfd):  # noqa: PLR0917  # fixtures
    caplog.set_level(logging.DEBUG)
    await telegram.client.put_user(me, password="rahasia-sekali")
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    await session.answer(challenge.id, code, resend=False)
    await session.answer((await asked(host, "awaiting_password")).id, "rahasia-sekali", resend=False)
    key = session.connection.key
    said = caplog.text + "".join(capfd.readouterr()) + str(host.reports) + str(host.lines) + repr(session.form)
    for secret in (code, "rahasia-sekali", key.hex(), str(key), session.form.key, "practice'"):
        assert secret not in said


@pytest.mark.parametrize("fails", ["the vault", "telegram"])
async def test_an_accepted_answer_that_could_not_be_kept_is_not_asked_for_again(
    telegram, open_session, host, me, fails
):  # fmt: skip
    session = await open_session(host)
    challenge, code = await asked(host), await telegram.client.last_code(me)
    keep, times = host.save_session, []

    async def away(data):
        times.append(data)
        if len(times) == 1 and fails == "the vault":
            raise Unavailable("NATS is away")
        await keep(data)

    host.save_session = away
    if fails == "telegram":
        await telegram.client.set_faults(refuse={"error": "RPC_CALL_FAIL", "method": "updates.getState", "times": 1})
    with pytest.raises((Unavailable, Permanent)):
        await session.answer(challenge.id, code, resend=False)
    await eventually(lambda: host.status == "ready", what=str(host.reports))
    assert (await telegram.client.user(me))["logins"] == 1
