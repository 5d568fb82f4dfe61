"""What Telegram refuses again and again is asked for more and more seldom, and its flood waits are kept."""

import asyncio

import pytest

from tests.integration.channel_telegram.recorder import eventually


@pytest.mark.parametrize("error", ["FLOOD_WAIT_4", "RPC_CALL_FAIL"])
async def test_where_what_was_missed_cannot_be_had_telegram_is_left_alone_for_a_while(telegram, signed_in, me, error):
    _, host = signed_in
    await eventually(lambda: host.positions)
    await telegram.client.set_faults(refuse={"error": error, "method": "updates.getDifference"})
    before = (await telegram.client.calls()).get("updates.getDifference", 0)
    await telegram.client.disconnect(me)
    await eventually(lambda: host.status == "degraded", what=f"it being said ({host.reports})")
    assert error.removesuffix("_4") in host.reason
    await asyncio.sleep(1.0)
    asked = (await telegram.client.calls())["updates.getDifference"] - before
    assert 1 <= asked <= (1 if error.startswith("FLOOD") else 8)
    await telegram.client.clear_faults()
    await eventually(lambda: host.status == "ready", what=f"its end ({host.reports})")
