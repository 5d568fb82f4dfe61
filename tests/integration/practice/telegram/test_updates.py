"""A client that was away catches up by pts: everything once, in order, edits, deletions and readings included."""

import pytest
from practice.telegram.testing import connected, signed_in
from practice.testing import eventually
from telethon import errors, events, functions, types

from .conftest import ANNA, BUDI, SHOP, holds, listening
from .test_messages import imported


async def difference(client, pts, **more):
    return await client(functions.updates.GetDifferenceRequest(pts=pts, date=None, qts=0, **more))


async def test_new_messages_and_other_changes_come_back(telegram, shop):
    anna = await imported(shop, ANNA)
    sent = await shop.send_message(anna, "price list")
    state = await shop(functions.updates.GetStateRequest())
    first = await telegram.write(ANNA, SHOP, "how much?")
    await telegram.edit(ANNA, first["id"], "how much is it?")
    gone = await telegram.write(ANNA, SHOP, "wrong chat")
    await telegram.delete(ANNA, gone["id"])
    assert await telegram.read(ANNA, SHOP) > 0
    missed = await difference(shop, state.pts)
    assert isinstance(missed, types.updates.Difference)
    assert [(one.id, one.message) for one in missed.new_messages] == [(first["to_id"], "how much is it?")]
    kinds = [(type(one).__name__, one.pts) for one in missed.other_updates]
    assert kinds == [
        ("UpdateEditMessage", state.pts + 2),
        ("UpdateDeleteMessages", state.pts + 4),
        ("UpdateReadHistoryOutbox", state.pts + 5),
    ]
    assert missed.other_updates[1].messages == [gone["to_id"]]
    assert missed.other_updates[2].max_id == sent.id
    assert {one.first_name for one in missed.users} == {"x", "Toko Halo"}
    assert missed.state.pts == state.pts + 5
    assert isinstance(await difference(shop, missed.state.pts), types.updates.DifferenceEmpty)


async def test_much_comes_in_slices(telegram, shop):
    state = await shop(functions.updates.GetStateRequest())
    for n in range(250):
        await telegram.write(ANNA, SHOP, str(n))
    texts, pts, kinds = [], state.pts, []
    while not isinstance(part := await difference(shop, pts), types.updates.DifferenceEmpty):
        texts += [one.message for one in part.new_messages]
        kinds.append(type(part).__name__)
        pts = (part.state if isinstance(part, types.updates.Difference) else part.intermediate_state).pts
    assert texts == [str(n) for n in range(250)]
    assert kinds == ["DifferenceSlice", "DifferenceSlice", "Difference"]
    assert isinstance(await difference(shop, state.pts, pts_total_limit=10), types.updates.DifferenceTooLong)


async def test_a_pts_that_cannot_be_is_refused(shop):
    with pytest.raises(errors.PersistentTimestampEmptyError):
        await difference(shop, 0)
    with pytest.raises(errors.PersistentTimestampInvalidError):
        await difference(shop, 999)


async def test_telethon_catches_up_after_a_cut_and_after_time_away(platform, telegram, shop):
    heard = listening(shop, events.NewMessage(incoming=True), _text)
    await telegram.write(ANNA, SHOP, "1")
    await eventually(lambda: holds(heard, "1"))
    assert await telegram.disconnect(SHOP) == 1
    await telegram.write(ANNA, SHOP, "2")
    await eventually(lambda: _connected(telegram))
    # Telethon notices the gap at the next push
    await telegram.write(ANNA, SHOP, "3")
    await eventually(lambda: holds(heard, "1", "2", "3"))
    await shop.disconnect()
    await telegram.write(BUDI, SHOP, "4")
    async with connected(platform.ports, shop.session, catch_up=True) as again:
        listening(again, events.NewMessage(incoming=True), _text, into=heard)
        await eventually(lambda: holds(heard, "1", "2", "3", "4"))


def _text(event):
    return event.message.message


async def _connected(telegram):
    return (await telegram.user(SHOP))["connections"]


async def test_what_the_phone_writes_reaches_the_persons_other_clients(telegram, shop):
    heard = listening(shop, events.NewMessage(outgoing=True), _text)
    await telegram.write(SHOP, ANNA, "from the phone")
    await eventually(lambda: holds(heard, "from the phone"))


async def test_each_change_moves_the_pts_by_its_count(telegram, shop):
    anna = await imported(shop, ANNA)
    start = (await shop(functions.updates.GetStateRequest())).pts
    ids = [(await shop.send_message(anna, str(n))).id for n in range(3)]
    affected = await shop(functions.messages.DeleteMessagesRequest(ids, revoke=True))
    assert (affected.pts, affected.pts_count) == (start + 6, 3)
    again = await shop(functions.messages.DeleteMessagesRequest(ids, revoke=True))
    assert (again.pts, again.pts_count) == (start + 6, 0)
    await telegram.write(ANNA, SHOP, "hi")
    read = await shop(functions.messages.ReadHistoryRequest(anna, max_id=0))
    assert (read.pts, read.pts_count) == (start + 8, 1)
    assert (await shop(functions.messages.ReadHistoryRequest(anna, max_id=0))).pts_count == 0


async def test_typing_is_shown_and_kept_nowhere(platform, telegram, shop):
    async with signed_in(platform.ports, telegram, ANNA) as anna:
        heard = listening(anna, events.UserUpdate(), lambda event: "typing" if event.typing else "")
        typing = functions.messages.SetTypingRequest(await imported(shop, ANNA), types.SendMessageTypingAction())
        assert await shop(typing)
        await eventually(lambda: holds(heard, "typing"))
    assert (await telegram.user(ANNA))["pts"] == 1
