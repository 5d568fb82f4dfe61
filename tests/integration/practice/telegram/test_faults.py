"""Faults strike the calls they are meant for, as often as said, and tell how often."""

import asyncio

import httpx
import pytest
from practice.telegram.testing import connected
from practice.testing import eventually
from telethon import errors, functions, types

from .conftest import ANNA, BUDI, SHOP
from .test_messages import imported


def text(peer, random_id, message="hi"):
    return functions.messages.SendMessageRequest(peer, message, random_id=random_id)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("FLOOD_WAIT_30", errors.FloodWaitError),
        ("SLOWMODE_WAIT_9", errors.SlowModeWaitError),
        ("PEER_FLOOD", errors.PeerFloodError),
        ("USER_PRIVACY_RESTRICTED", errors.UserPrivacyRestrictedError),
        ("INPUT_USER_DEACTIVATED", errors.InputUserDeactivatedError),
        ("AUTH_KEY_DUPLICATED", errors.AuthKeyDuplicatedError),
        ("INTERNAL", errors.ServerError),
    ],
)
async def test_a_refusal_is_the_error_that_telethon_knows(telegram, shop, name, error):
    anna = await imported(shop, ANNA)
    await telegram.set_faults(refuse={"error": name, "method": "messages.send*"})
    with pytest.raises(error):
        await shop(text(anna, 1))
    assert (await telegram.counts())["received"] == 0
    assert (await telegram.faults())["refuse"][0]["hits"] >= 1


async def test_limits_by_recipient_account_times_and_after(telegram, shop):
    anna, budi = await imported(shop, ANNA), await imported(shop, BUDI)
    await telegram.set_faults(
        refuse=[
            {"error": "PEER_FLOOD", "recipient": BUDI, "times": 1, "after": 1},
            {"error": "USER_IS_BLOCKED", "account": ANNA},
        ]
    )
    await shop(text(anna, 1))
    await shop(text(budi, 2))
    with pytest.raises(errors.PeerFloodError):
        await shop(text(budi, 3))
    await shop(text(budi, 3))
    await telegram.clear_faults("refuse")
    assert await telegram.faults() == {}


@pytest.mark.parametrize("stored", [False, True])
async def test_no_answer_comes_and_the_message_is_taken_or_not(telegram, shop, stored):
    anna = await imported(shop, ANNA)
    await telegram.set_faults(hang={"method": "messages.sendMessage", "times": 1, "stored": stored})
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(shop(text(anna, 1)), 0.3)
    assert (await telegram.counts())["received"] == int(stored)
    if stored:
        with pytest.raises(errors.RandomIdDuplicateError):
            await shop(text(anna, 1))
    else:
        await shop(text(anna, 1))
    assert (await telegram.counts())["copies"] == 1


async def test_cut_before_or_after_taking_telethon_repeats_and_the_server_recognises(telegram, shop):
    anna = await imported(shop, ANNA)
    await telegram.set_faults(drop={"method": "messages.sendMessage", "times": 1})
    await shop(text(anna, 1))
    await telegram.set_faults(drop={"method": "messages.sendMessage", "times": 1, "stored": True})
    with pytest.raises(errors.RandomIdDuplicateError):
        await shop(text(anna, 2))
    counts = await telegram.counts()
    assert (counts["received"], counts["copies"], counts["refused_repeats"]) == (2, 2, 1)


async def test_an_error_500_after_taking(telegram, shop):
    anna = await imported(shop, ANNA)
    await telegram.set_faults(refuse={"error": "RPC_CALL_FAIL", "stored": True, "recipient": ANNA, "times": 1})
    with pytest.raises(errors.ServerError):
        await shop(text(anna, 1))
    assert (await telegram.counts())["received"] == 1


async def test_answers_come_late_and_new_connections_are_cut(platform, telegram, shop):
    anna = await imported(shop, ANNA)
    await telegram.set_faults(slow_seconds={"value": 0.3, "method": "messages.sendMessage"})
    begun = asyncio.get_running_loop().time()
    await shop(text(anna, 1))
    assert asyncio.get_running_loop().time() - begun >= 0.3
    await telegram.set_faults(down=True)
    with pytest.raises((OSError, EOFError)):
        async with connected(platform.ports, connection_retries=1):
            pass


async def test_an_unknown_fault_is_refused(telegram):
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        await telegram.set_faults(explode=True)
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        await telegram.switch(explode=True)


async def test_one_key_on_two_connections_is_allowed_unless_switched_off(platform, telegram, shop):
    async with connected(platform.ports, shop.session) as second:
        assert await second.get_me()
        await shop(functions.updates.GetStateRequest())
    await eventually(lambda: _connections(telegram, 1))
    await telegram.switch(one_connection_per_key=True)
    with pytest.raises(errors.AuthKeyDuplicatedError):
        async with connected(platform.ports, shop.session):
            pass
    with pytest.raises(errors.AuthKeyDuplicatedError):
        await shop(functions.users.GetUsersRequest([types.InputUserSelf()]))
    assert (await telegram.user(SHOP))["logins"] == 0


async def _connections(telegram, count):
    return (await telegram.user(SHOP))["connections"] == count
