"""What chat platforms do that mail does not: edits, deletions, own messages from the phone, peers without an address."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from campaigns.inbox import changes, domain
from campaigns.outbox import messaging
from campaigns.outbox.rows import new_row, placed
from campaigns.suppression import usecases as suppression
from contracts import ids
from contracts.inbox import Deleted, Edited, Received

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
SITI = "+6281200000001"


def received(number: int, text: str = "halo", peer: str = SITI, **fields) -> Received:
    base = {
        "id": ids.inbound_id("acc_1", str(number)), "account_id": "acc_1", "channel": "telegram",
        "platform_id": str(number), "sender": {"address": peer, "name": "Siti"}, "conversation": peer,
        "at": NOW + timedelta(seconds=number), "text": text,
    }  # fmt: skip
    return Received.model_validate({**base, **fields})


def edited(number: int, text: str, seconds: float) -> Edited:
    at = NOW + timedelta(seconds=seconds)
    message = ids.inbound_id("acc_1", str(number))
    return Edited(
        id=message, account_id="acc_1", channel="telegram", platform_id=str(number), conversation=SITI, text=text, at=at
    )


def deleted(*numbers: int) -> Deleted:
    platform_ids = [str(n) for n in numbers]
    messages = [ids.inbound_id("acc_1", one) for one in platform_ids]
    return Deleted(ids=messages, account_id="acc_1", channel="telegram", platform_ids=platform_ids, at=NOW)


async def talk(people, peer: str = SITI) -> dict:
    return (await people.viewer.get(f"/v1/conversations/{domain.conversation_id('acc_1', peer)}")).json()


async def history(people, peer: str = SITI) -> list[dict]:
    path = f"/v1/conversations/{domain.conversation_id('acc_1', peer)}/messages"
    return (await people.viewer.get(path)).json()["items"]


async def hear(people, *messages, later=None) -> None:
    await messaging.hear(people.ctx, list(messages), **({"later": later} if later else {}))


async def test_an_edited_message_shows_its_new_text_and_keeps_the_former_ones(people):
    await hear(people, received(1, "satu"), edited(1, "dua", 10), edited(1, "tiga", 10), edited(1, "empat", 20))
    for _ in range(2):  # heard again, in another order
        (shown,) = await history(people)
        assert (shown["text"], [one["text"] for one in shown["former"]]) == ("empat", ["satu", "dua", "tiga"])
        assert shown["edited_at"].startswith((NOW + timedelta(seconds=20)).isoformat()[:19])
        assert shown["former"][0]["at"].startswith((NOW + timedelta(seconds=1)).isoformat()[:19])
        assert (await talk(people))["preview"] == "empat"
        await hear(people, edited(1, "empat", 20), edited(1, "dua", 10), edited(1, "tiga", 10))


async def test_an_edit_that_changes_no_word_changes_nothing(people):
    await hear(people, received(1, "satu"), edited(1, "satu", 9))
    (shown,) = await history(people)
    assert (shown["edited_at"], shown["former"]) == (None, [])


async def test_only_the_message_a_list_shows_changes_its_line(people):
    await hear(people, received(1, "satu"), received(2, "dua"), edited(1, "lain", 9))
    assert (await talk(people))["preview"] == "dua"
    await hear(people, edited(2, "lain lagi", 9))
    assert (await talk(people))["preview"] == "lain lagi"
    await hear(people, received(3, "tiga", at=NOW + timedelta(seconds=2)), edited(2, "terlambat", 10))
    assert (await talk(people))["preview"] == "tiga"  # of the same moment


async def test_an_edit_of_two_readers_at_once_loses_no_text(people):
    await hear(people, received(1, "satu"))
    await asyncio.gather(*(hear(people, edited(1, f"ke-{n}", n)) for n in range(2, 6)))
    (shown,) = await history(people)
    assert (shown["text"], [one["text"] for one in shown["former"]]) == ("ke-5", ["satu", "ke-2", "ke-3", "ke-4"])


async def test_the_html_of_former_texts_is_cleaned_too(people):
    bad = '<b>x</b><script>y()</script><img src="http://spy/1.gif">'
    await hear(people, received(1, "satu", html=bad), edited(1, "dua", 9))
    (shown,) = await history(people)
    assert (shown["html"], shown["former"][0]["html"]) == (None, "<b>x</b>")


async def test_a_deleted_message_keeps_what_it_said(people):
    await hear(people, received(1, "satu"), received(2, "dua"), deleted(1))
    assert (await talk(people))["preview"] == "dua"
    for _ in range(2):
        await hear(people, deleted(2, 1))
        assert [(m["text"], m["deleted_at"] is not None) for m in await history(people)] == [
            ("dua", True), ("satu", True),
        ]  # fmt: skip
        assert (await talk(people))["preview"] == "[deleted]"


async def test_an_answer_names_the_last_message_that_still_exists(people):
    await hear(people, received(1), received(2), deleted(2))
    path = f"/v1/conversations/{(await talk(people))['id']}/replies"
    file = (await people.http.post("/v1/media", files={"file": ("harga.jpg", b"jpg", "image/jpeg")})).json()
    answer = await people.http.post(path, json={"attachments": [file["id"]], "client_id": "1", "subject": "x"})
    assert answer.status_code == 201, answer.text
    row = await people.ctx.db["rows"].find_one({"kind": "reply"})
    assert row["thread"]["in_reply_to"] == "1"
    assert row["to"]["address"] == SITI
    assert row["content"].get("subject") is None
    assert [file["filename"] for file in row["content"]["attachments"]] == ["harga.jpg"]
    assert (await talk(people))["preview"] == "[harga.jpg]"


@pytest.mark.parametrize("change", [edited(1, "dua", 9), deleted(1), deleted(1, 2)], ids=["edit", "deletion", "two"])
async def test_a_change_that_came_before_its_message_comes_again(people, change):
    early = []
    await hear(people, change, later=lambda m: not early.append(m))
    assert early == [change]
    await hear(people, received(1, "satu"), received(2), *early, later=lambda m: pytest.fail(f"{m} again"))
    shown = (await history(people))[-1]
    assert shown["text"] == "dua" or shown["deleted_at"]


async def test_a_change_of_a_message_nobody_knows_is_let_go(people):
    await hear(people, edited(1, "dua", 9), deleted(1))
    assert await people.ctx.db["messages"].count({}) == 0


@pytest.mark.parametrize("dies_in", ["_written", "_previewed"])
async def test_an_edit_whose_process_died_is_made_good_by_the_redelivery(people, monkeypatch, dies_in):
    await hear(people, received(1, "satu"))
    whole = getattr(changes, dies_in)

    async def dies(*_):
        raise asyncio.CancelledError

    monkeypatch.setattr(changes, dies_in, dies)
    with pytest.raises(asyncio.CancelledError):
        await hear(people, edited(1, "dua", 9))
    monkeypatch.setattr(changes, dies_in, whole)
    await hear(people, edited(1, "dua", 9))
    (shown,) = await history(people)
    assert (shown["text"], len(shown["former"]), (await talk(people))["preview"]) == ("dua", 1, "dua")


async def sent_row(people, number: int, platform_ids: list[str], state: str = "sent", peer: str = SITI) -> None:
    made = new_row(
        f"r{number}",
        campaign="c1",
        account="acc_1",
        channel="telegram",
        kind="campaign",
        to={"address": peer},
        key=peer,
    )
    stored = {**placed(made, number, number), "state": state, "sent_at": NOW, "platform_ids": platform_ids}
    await people.ctx.db["rows"].insert_one(stored)


async def test_an_own_message_that_is_a_row_of_ours_is_not_shown_a_second_time(people):
    await sent_row(people, 0, ["7", "8"], "read")
    await hear(people, received(7, own=True), received(8, own=True), received(9, "dari ponsel", own=True))
    assert [(m["direction"], m["text"]) for m in await history(people)] == [("own", "dari ponsel")]
    found = await talk(people)
    assert (found["unread"], found["last_direction"], found["preview"]) == (0, "own", "dari ponsel")


async def test_an_own_message_that_may_be_a_row_of_ours_waits_until_that_is_known(people):
    await sent_row(people, 0, [], "queued")
    early, echo = [], received(7, "Promo", own=True)
    await hear(people, echo, received(8), later=lambda m: not early.append(m))
    assert early == [echo]
    assert len(await history(people)) == 1
    await people.ctx.db["rows"].update_one({"_id": "r0"}, {"$set": {"state": "sent", "platform_ids": ["7"]}})
    await hear(people, *early)
    assert [m["direction"] for m in await history(people)] == ["in"]


async def test_whoever_shows_neither_phone_nor_handle_is_a_contact_and_can_be_answered(people):
    peer = "#987654321"
    await hear(people, received(1, peer=peer))
    found = await talk(people, peer)
    assert found["contact_details"]["handles"] == {"telegram": peer}
    answer = await people.http.post(f"/v1/conversations/{found['id']}/replies", json={"text": "ya", "client_id": "1"})
    assert answer.status_code == 201, answer.text
    assert (await people.ctx.db["rows"].find_one({"kind": "reply"}))["to"]["address"] == peer
    await hear(people, received(2, "STOP", peer=peer))
    assert (await talk(people, peer))["suppressed"] == "unsubscribed"


async def test_who_says_stop_is_left_alone_at_every_address_they_have_there(people):
    body = {"name": "Siti", "phone": SITI, "handles": {"telegram": "siti"}}
    assert (await people.http.post("/v1/contacts", json=body)).status_code == 201
    await hear(people, received(1, "STOP"))
    assert await suppression.suppressed(people.ctx, "telegram", [SITI, "siti", "budi"]) == {SITI, "siti"}
    assert await suppression.suppressed(people.ctx, "whatsapp", [SITI]) == set()


async def test_stop_from_an_address_nobody_can_write_to_is_shown_and_does_no_harm(people):
    await hear(people, received(1, "STOP", peer="odd address"))
    assert (await talk(people, "odd address"))["preview"] == "STOP"


async def test_an_answer_stops_what_else_the_campaign_would_send_to_any_address_of_that_person(people):
    body = {"name": "Siti", "phone": SITI, "handles": {"telegram": "siti"}}
    contact = (await people.http.post("/v1/contacts", json=body)).json()["id"]
    await sent_row(people, 0, ["7"])
    await sent_row(people, 1, [], "pending", "siti")
    await people.ctx.db["rows"].update_many({}, {"$set": {"contact": contact}})
    await hear(people, received(8, peer=SITI))
    row = await people.ctx.db["rows"].find_one({"_id": "r1"})
    assert (row["state"], row["reason"]) == ("cancelled", "replied")
    assert [(m["direction"], m["campaign"]) for m in await history(people)] == [("in", None), ("out", "c1")]


async def test_a_picture_without_words_is_listed_by_its_name(people):
    file = {"object": "o", "filename": "foto.jpg", "content_type": "image/jpeg", "size": 1}
    await hear(people, received(1, "", attachments=[file]))
    assert (await talk(people))["preview"] == "[foto.jpg]"
    await hear(people, edited(1, "kopinya", 9))
    assert (await talk(people))["preview"] == "kopinya"


async def test_a_message_that_quotes_one_of_ours_answers_that_one(people):
    """Not the last one."""
    await sent_row(people, 0, ["7"])
    await sent_row(people, 1, ["8"])
    await people.ctx.db["rows"].update_one({"_id": "r1"}, {"$set": {"sent_at": NOW + timedelta(seconds=5)}})
    await hear(people, received(10, references=["7"]), received(11, references=["1"]))
    rows = [row async for row in people.ctx.db["rows"].find({}, sort=[("number", 1)])]
    assert [row["answered_at"] for row in rows] == [NOW + timedelta(seconds=10), NOW + timedelta(seconds=11)]
