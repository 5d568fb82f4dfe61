"""What Telegram refuses again and again is asked for more and more seldom, and its flood waits are kept."""

import asyncio
import time

import pytest
from channelkit.protocol import Restricted

from tests.integration.channel_telegram.recorder import attempt, send
from tests.support.recorder import eventually


@pytest.mark.parametrize("error", ["FLOOD_WAIT_4", "RPC_CALL_FAIL"])
async def test_where_what_was_missed_cannot_be_had_telegram_is_left_alone_for_a_while(telegram, signed_in, me, error):
    _, host = signed_in
    await eventually(lambda: host.positions)
    before = await eventually(lambda: differences(telegram), what="the first look at what was missed")
    await telegram.client.set_faults(refuse={"error": error, "method": "updates.getDifference"})
    began = time.monotonic()
    await telegram.client.disconnect(me)
    await eventually(lambda: host.status == "degraded", what=f"it being said ({host.reports})")
    assert error.removesuffix("_4") in host.reason
    await asyncio.sleep(1.0)
    asked = await differences(telegram) - before
    took = time.monotonic() - began  # a busy machine takes its time
    first = 1  # the session's own first look may fall into the count
    assert 1 <= asked <= first + (1 + took // 4 if error.startswith("FLOOD") else 8 + took)
    await telegram.client.clear_faults()
    await eventually(lambda: host.status == "ready", what=f"its end ({host.reports})")


async def differences(telegram) -> int:
    return (await telegram.client.calls()).get("updates.getDifference", 0)


async def test_a_restricted_account_is_not_called_ready_after_a_break(telegram, signed_in, me, to):
    session, host = signed_in
    await telegram.client.set_faults(refuse={"error": "PEER_FLOOD", "method": "messages.sendMessage"})
    with pytest.raises(Restricted):
        await send(session, attempt(to))
    await telegram.client.set_faults(refuse={"error": "FLOOD_WAIT_4", "method": "updates.getDifference", "times": 1})
    await telegram.client.disconnect(me)
    await eventually(lambda: host.status == "degraded")
    assert "refuses: 420 FLOOD_WAIT 4" in host.reason
    await eventually(lambda: "FLOOD_WAIT" not in host.reason)
    assert host.status == "degraded"
    assert "@SpamBot" in host.reason
