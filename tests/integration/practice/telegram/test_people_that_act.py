"""People that act by themselves, by their own way or by a rule on numbers."""

import pytest
from practice.testing import eventually
from telethon import errors, events, functions, types

from .conftest import ANNA, BUDI, listening
from .test_messages import imported


@pytest.fixture
def heard(shop):
    return listening(shop, events.NewMessage(incoming=True), lambda event: event.message.message)


async def test_replies_and_stop_come_back_and_are_counted(telegram, shop, heard):
    await telegram.put_user(ANNA, acts="reply", reply_text="Two, please.")
    await telegram.put_user(BUDI, acts="stop")
    for phone in (ANNA, BUDI):
        await shop.send_message(await imported(shop, phone), "Halo")
    await eventually(lambda: _same(heard, {"Two, please.", "STOP"}))
    (told,) = await telegram.messages(to=ANNA)
    assert told["read"]
    counts = await telegram.counts()
    assert (counts["acts"], counts["acts_waiting"], counts["received"]) == ({"reply": 1, "stop": 1}, 0, 2)


async def _same(heard, wanted):
    return set(heard) == wanted


async def test_numbers_of_a_rule_exist_and_the_first_rule_counts(telegram, shop, heard):
    await telegram.set_rules(
        {"pattern": "+62812*9", "acts": "absent"}, {"pattern": "+62812*", "acts": "reply", "reply_text": "Yes!"}
    )
    await shop.send_message(await imported(shop, "+628121111111"), "Halo")
    await eventually(lambda: _same(heard, {"Yes!"}))
    contact = types.InputPhoneContact(1, "+628121111119", "x", "")
    answer = await shop(functions.contacts.ImportContactsRequest([contact]))
    assert (answer.users, answer.retry_contacts) == ([], [])


async def test_readers_let_the_writer_know(telegram, shop):
    read = listening(shop, events.MessageRead(), lambda event: event.max_id)
    await telegram.put_user(ANNA, acts="read")
    sent = await shop.send_message(await imported(shop, ANNA), "Halo")
    await eventually(lambda: _same(read, {sent.id}))
    (dialog,) = await shop.get_dialogs()
    assert dialog.dialog.read_outbox_max_id == sent.id


@pytest.mark.parametrize(
    ("acts", "error"),
    [
        ("block", errors.UserIsBlockedError),
        ("privacy", errors.UserPrivacyRestrictedError),
        ("deactivated", errors.InputUserDeactivatedError),
    ],
)
async def test_those_who_cannot_be_written_to(telegram, shop, acts, error):
    anna = await imported(shop, ANNA)
    await telegram.put_user(ANNA, acts=acts)
    with pytest.raises(error):
        await shop(functions.messages.SendMessageRequest(anna, "hi", random_id=1))
    assert (await telegram.counts())["received"] == 0


async def test_contacts_to_be_imported_again_later(telegram, shop):
    await telegram.put_user(ANNA, acts="retry")
    contact = types.InputPhoneContact(3, ANNA, "x", "")
    answer = await shop(functions.contacts.ImportContactsRequest([contact]))
    assert (answer.imported, answer.retry_contacts) == ([], [3])


async def test_what_people_write_by_themselves_is_not_counted(telegram, shop):
    await telegram.put_user(ANNA, acts="reply")
    await telegram.write(BUDI, ANNA, "not from a client, so nobody answers")
    counts = await telegram.counts()
    assert (counts["received"], counts["acts_waiting"], await telegram.messages()) == (0, 0, [])
    (told,) = await telegram.messages(to=ANNA, sender=BUDI)
    assert told["random_id"] == "0"
