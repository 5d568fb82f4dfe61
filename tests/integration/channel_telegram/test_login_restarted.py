"""Telegram may say that a login must begin anew; the question stays, and a person has the code sent again."""

import pytest
from servicekit.errors import Permanent

from tests.integration.channel_telegram.recorder import Recorder
from tests.support.recorder import eventually


async def test_a_login_that_telegram_begins_anew_asks_for_a_new_code(telegram, open_session, me):
    await telegram.client.put_user(me, name="Toko")
    host = Recorder(me)
    session = await open_session(host)
    await eventually(lambda: host.status == "awaiting_code")
    code = await telegram.client.last_code(me)
    refused = {"error": "AUTH_RESTART", "code": 500, "times": 1}
    await telegram.client.set_faults(refuse=[{**refused, "method": f"auth.{one}"} for one in ("signIn", "resendCode")])
    with pytest.raises(Permanent, match="expired_code"):
        await session.answer(host.challenge.id, code, resend=False)
    await session.answer(host.challenge.id, "", resend=True)
    await session.answer(host.challenge.id, await telegram.client.last_code(me), resend=False)
    assert host.status == "ready"
