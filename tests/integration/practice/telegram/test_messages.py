"""Private messages between two Telethon clients: each side's view, and each error."""

import pytest
from practice.telegram.testing import signed_in
from practice.testing import eventually
from telethon import errors, events, functions, types

from .conftest import ANNA, BUDI, SHOP, listening


@pytest.fixture
async def anna(platform, telegram):
    async with signed_in(platform.ports, telegram, ANNA) as opened:
        yield opened


@pytest.fixture
async def to_anna(shop):
    return await imported(shop, ANNA)


async def imported(client, phone):
    """Return the InputPeer of a number, as a client that knows only the number gets it."""
    contact = types.InputPhoneContact(client_id=7, phone=phone, first_name="x", last_name="")
    answer = await client(functions.contacts.ImportContactsRequest([contact]))
    return types.InputPeerUser(answer.users[0].id, answer.users[0].access_hash)


async def test_people_are_found_by_number_and_name(telegram, shop):
    unknown = types.InputPhoneContact(client_id=8, phone="+628110099999", first_name="x", last_name="")
    known = types.InputPhoneContact(client_id=7, phone=ANNA, first_name="x", last_name="")
    answer = await shop(functions.contacts.ImportContactsRequest([known, unknown]))
    assert ([one.client_id for one in answer.imported], answer.retry_contacts) == ([7], [])
    assert "+" + answer.users[0].phone == ANNA
    assert (await shop(functions.contacts.ResolveUsernameRequest("Anna"))).users[0].id == answer.users[0].id
    budi = (await shop(functions.contacts.ResolvePhoneRequest(BUDI))).users[0]
    assert (budi.first_name, budi.phone) == ("Budi", None), "a number is seen by those who have it alone"
    with pytest.raises(errors.UsernameNotOccupiedError):
        await shop(functions.contacts.ResolveUsernameRequest("nobody"))
    with pytest.raises(errors.PhoneNotOccupiedError):
        await shop(functions.contacts.ResolvePhoneRequest("+628110099999"))


async def test_access_hashes_are_each_viewers_own(telegram, shop, anna, to_anna):
    budi_of_shop, budi_of_anna = await imported(shop, BUDI), await imported(anna, BUDI)
    assert budi_of_shop.user_id == budi_of_anna.user_id
    assert budi_of_shop.access_hash != budi_of_anna.access_hash
    with pytest.raises(errors.PeerIdInvalidError):
        await anna(functions.messages.SendMessageRequest(budi_of_shop, "hi", random_id=1))
    (unknown,) = await anna(functions.users.GetUsersRequest([budi_of_shop]))
    assert isinstance(unknown, types.UserEmpty)


async def test_a_text_goes_over_with_its_entities(telegram, shop, anna, to_anna):
    got = listening(anna, events.NewMessage(incoming=True), lambda event: event.message)
    bold = [types.MessageEntityBold(0, 4)]
    sent = await shop(functions.messages.SendMessageRequest(to_anna, "Halo Anna", random_id=11, entities=bold))
    assert isinstance(sent, types.UpdateShortSentMessage)
    (message,) = await eventually(lambda: _whatever(got))
    assert (message.message, message.out, message.entities) == ("Halo Anna", False, bold)
    assert (await message.get_sender()).first_name == "Toko Halo"
    (told,) = await telegram.messages(to=ANNA)
    assert (told["text"], told["random_id"], told["id"], told["from"]) == ("Halo Anna", "11", sent.id, SHOP)
    assert told["entities"] == [{"_": "MessageEntityBold", "offset": 0, "length": 4}]


async def test_a_repeat_of_a_random_id_is_refused_and_counted(telegram, shop, to_anna):
    request = functions.messages.SendMessageRequest(to_anna, "once", random_id=-5)
    await shop(request)
    with pytest.raises(errors.RandomIdDuplicateError):
        await shop(request)
    counts = await telegram.counts()
    assert (counts["received"], counts["copies"], counts["duplicates"], counts["refused_repeats"]) == (1, 1, 0, 1)
    assert await telegram.counts_by_phone() == {ANNA: 1}
    assert await telegram.counts_by_random_id([-5, 6]) == {
        "counts": {"-5": 1, "6": 0}, "received": 1, "copies": 1, "duplicates": 0, "refused_repeats": 1,
    }  # fmt: skip
    assert await telegram.random_ids() == {-5: 1}


async def test_without_deduplication_the_count_sees_the_copy(telegram, shop, to_anna):
    await telegram.switch(deduplicate=False)
    for _ in range(2):
        await shop(functions.messages.SendMessageRequest(to_anna, "twice", random_id=5))
    counts = await telegram.counts()
    assert (counts["received"], counts["copies"], counts["duplicates"]) == (1, 2, 1)
    assert len(await telegram.messages(to=ANNA)) == 2


async def test_a_reply_names_the_message_in_each_box(telegram, shop, anna, to_anna):
    await telegram.write(BUDI, ANNA, "first, so that the numbers differ")
    question = await telegram.write(SHOP, ANNA, "which size?")
    assert question["id"] != question["to_id"]
    to_shop = await imported(anna, SHOP)
    reply = types.InputReplyToMessage(question["to_id"])
    await anna(functions.messages.SendMessageRequest(to_shop, "M", random_id=3, reply_to=reply))
    (last,) = await shop.get_messages(to_anna, limit=1)
    assert (last.message, last.reply_to.reply_to_msg_id) == ("M", question["id"])


async def test_edits_deletions_and_readings_reach_the_other_side(telegram, shop, anna, to_anna):
    seen = listening(anna, events.MessageEdited(), lambda event: ("edit", event.message.message))
    listening(anna, events.MessageDeleted(), lambda event: ("delete", event.deleted_ids), into=seen)
    listening(shop, events.MessageRead(), lambda event: ("read", event.max_id), into=seen)
    sent = await shop.send_message(to_anna, "one")
    to_shop = await imported(anna, SHOP)
    await anna.send_read_acknowledge(to_shop)
    await eventually(lambda: _is(seen, ("read", sent.id)))
    await shop.edit_message(to_anna, sent.id, "two")
    await eventually(lambda: _is(seen, ("edit", "two")))
    (told,) = await telegram.messages(to=ANNA)
    assert (told["text"], told["edited"], told["read"]) == ("two", True, True)
    await shop.delete_messages(to_anna, [sent.id], revoke=True)
    await eventually(lambda: _is(seen, ("delete", [told["to_id"]])))
    assert (await telegram.messages(to=ANNA))[0]["deleted"]
    with pytest.raises(errors.MessageIdInvalidError):
        await shop.edit_message(to_anna, sent.id, "three")
    kept = await telegram.write(SHOP, ANNA, "deleted at one side alone")
    await telegram.delete(ANNA, kept["to_id"], revoke=False)
    before = (await telegram.user(ANNA))["pts"]
    assert (await shop.edit_message(to_anna, kept["id"], "changed")).message == "changed"
    assert (await telegram.user(ANNA))["pts"] == before, "an edit does not reach who deleted it"


async def _is(seen, what):
    return what in seen


async def _whatever(seen):
    return seen


async def test_what_cannot_be_written(telegram, shop, to_anna):
    for text, error in (("", errors.MessageEmptyError), ("x" * 4097, errors.MessageTooLongError)):
        with pytest.raises(error):
            await shop(functions.messages.SendMessageRequest(to_anna, text, random_id=9))
    await telegram.block(ANNA, SHOP)
    with pytest.raises(errors.UserIsBlockedError):
        await shop(functions.messages.SendMessageRequest(to_anna, "hi", random_id=9))
    assert (await telegram.counts())["received"] == 0


async def test_histories_searches_and_dialogs(telegram, shop, to_anna):
    for n in range(5):
        await telegram.write(SHOP, ANNA, f"message {n}")
    await telegram.write(BUDI, SHOP, "from Budi")
    assert [one.message for one in await shop.get_messages(to_anna, limit=2)] == ["message 4", "message 3"]
    assert [one.message async for one in shop.iter_messages(to_anna)][-1] == "message 0"
    assert [one.message for one in await shop.get_messages(to_anna, search="3", limit=5)] == ["message 3"]
    assert [one.message for one in await shop.get_messages(to_anna, ids=[1, 99]) if one] == ["message 0"]
    dialogs = await shop.get_dialogs()
    assert [(one.name, one.message.message) for one in dialogs] == [("Budi", "from Budi"), ("x", "message 4")]


async def test_contacts_are_kept_blocked_and_forgotten(telegram, shop, anna, to_anna):
    listed = await shop(functions.contacts.GetContactsRequest(hash=0))
    assert ["+" + one.phone for one in listed.users] == [ANNA]
    full = await shop(functions.users.GetFullUserRequest(to_anna))
    assert (full.users[0].first_name, full.full_user.blocked) == ("x", False), "a contact is seen as it was named"
    to_shop = await imported(anna, SHOP)
    await anna(functions.contacts.BlockRequest(to_shop))
    with pytest.raises(errors.UserIsBlockedError):
        await shop(functions.messages.SendMessageRequest(to_anna, "hi", random_id=1))
    with pytest.raises(errors.YouBlockedUserError):
        await anna(functions.messages.SendMessageRequest(to_shop, "hi", random_id=1))
    await anna(functions.contacts.UnblockRequest(to_shop))
    await shop(functions.messages.SendMessageRequest(to_anna, "hi", random_id=1))
    await shop(functions.contacts.DeleteContactsRequest([to_anna]))
    (seen,) = await shop(functions.users.GetUsersRequest([to_anna]))
    assert (seen.contact, seen.phone, seen.first_name) == (False, None, "Anna")
    await shop(functions.contacts.AddContactRequest(to_anna, "Anna", "Regular", ANNA))
    (seen,) = await shop(functions.users.GetUsersRequest([to_anna]))
    assert (seen.contact, seen.phone, seen.first_name) == (True, ANNA.removeprefix("+"), "Anna Regular")


async def test_notes_to_oneself_lie_in_one_box_once(telegram, shop):
    sent = await shop.send_message("me", "remember")
    assert [one.message for one in await shop.get_messages("me", limit=5)] == ["remember"]
    assert (await telegram.user(SHOP))["pts"] == 2
    await shop.delete_messages("me", [sent.id])
    assert (await telegram.user(SHOP))["pts"] == 3
