"""Inbound messages into conversations, and answers out of them, with the real outbox."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from campaigns.inbox import messaging, recovery, usecases
from campaigns.media import usecases as media
from campaigns.outbox import direct
from campaigns.outbox.rows import new_row, placed
from campaigns.suppression import usecases as suppression
from contracts.inbox import Received

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


def received(number: int, peer: str = "siti@example.com", **fields) -> Received:
    base = {
        "id": f"in{number}", "account_id": "acc_1", "channel": "email", "platform_id": f"<m{number}@example.com>",
        "sender": {"address": peer, "name": "Siti"}, "conversation": peer, "at": NOW + timedelta(seconds=number),
        "subject": "Kopi", "text": f"halo {number}", "references": [],
    }  # fmt: skip
    return Received.model_validate({**base, **fields})


async def sent_row(people, row: str = "row1", address: str = "siti@example.com", campaign: str = "c1") -> str:
    made = new_row(
        row, campaign=campaign, account="acc_1", channel="email", kind="campaign", to={"address": address, "name": "S"},
        key=address,
    )  # fmt: skip
    await people.ctx.db["rows"].insert_one({**placed(made, 0, 1), "state": "sent", "sent_at": NOW})
    return row


async def only_conversation(people) -> dict:
    found = (await people.viewer.get("/v1/conversations")).json()["items"]
    assert len(found) == 1, found
    return found[0]


async def test_a_reply_becomes_a_conversation_of_its_campaign(people):
    row = await sent_row(people)
    message = received(1, answers_row=row, html='<b>hi</b><script>x()</script><img src="http://spy/1.gif">')
    await messaging.on_received(people.ctx, [message])
    found = await only_conversation(people)
    assert (found["address"], found["status"], found["unread"], found["campaigns"]) == (
        "siti@example.com", "unassigned", 1, ["c1"],
    )  # fmt: skip
    assert found["preview"] == "halo 1"
    assert (await people.ctx.db["rows"].find_one({"_id": row}))["answered_at"] is not None
    history = (await people.viewer.get(f"/v1/conversations/{found['id']}/messages")).json()["items"]
    assert [(m["direction"], m["campaign"]) for m in history] == [("in", None), ("out", "c1")]
    assert history[0]["html"] == "<b>hi</b>"
    whole = (await people.viewer.get(f"/v1/conversations/{found['id']}")).json()
    assert whole["contact_details"]["email"] == "siti@example.com"
    assert whole["suppressed"] is None
    for wanted, count in (
        ({"campaign": "c1"}, 1),
        ({"campaign": "c2"}, 0),
        ({"q": "sit"}, 1),
        ({"tab": "resolved"}, 0),
    ):
        assert len((await people.viewer.get("/v1/conversations", params=wanted)).json()["items"]) == count
    assert (await people.viewer.get("/v1/conversations", params={"tab": "x"})).json()["errors"][0]["field"] == "tab"


async def test_a_message_takes_effect_once_however_often_and_in_whatever_order_it_comes(people):
    messages = [received(i) for i in range(20)]
    await messaging.on_received(people.ctx, messages[10:])
    await asyncio.gather(*(messaging.on_received(people.ctx, messages[i::3][::-1]) for i in range(3)))
    await messaging.on_received(people.ctx, [*messages, *messages])
    found = await only_conversation(people)
    assert (found["unread"], found["preview"]) == (20, "halo 19")
    ids, cursor = [], None
    while True:
        params = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = (await people.viewer.get(f"/v1/conversations/{found['id']}/messages", params=params)).json()
        ids += [m["id"] for m in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert ids == [f"in{i}" for i in range(19, -1, -1)]


@pytest.mark.parametrize("dies_in", ["answered", "_conversations", "_campaign_messages", "_consequences"])
async def test_a_crash_at_any_step_is_made_good_by_the_redelivery(people, monkeypatch, dies_in):
    row = await sent_row(people)
    message = received(1, answers_row=row)
    whole = getattr(messaging, dies_in)

    async def dies(*_):
        raise asyncio.CancelledError

    monkeypatch.setattr(messaging, dies_in, dies)
    with pytest.raises(asyncio.CancelledError):
        await messaging.on_received(people.ctx, [message])
    monkeypatch.setattr(messaging, dies_in, whole)
    for _ in range(2):
        await messaging.on_received(people.ctx, [message])
    found = await only_conversation(people)
    assert (found["unread"], found["campaigns"]) == (1, ["c1"])
    assert (await people.ctx.db["rows"].find_one({"_id": row}))["answered_at"] is not None
    assert await people.ctx.db["contacts"].count({}) == 1


async def test_a_new_message_opens_what_was_resolved_and_an_old_one_again_does_not(people):
    await messaging.on_received(people.ctx, [received(1)])
    path = f"/v1/conversations/{(await only_conversation(people))['id']}"
    assert (await people.http.post(f"{path}/assign", json={})).json()["status"] == "assigned"
    assert (await people.http.post(f"{path}/resolve")).json()["status"] == "resolved"
    assert (await people.http.post(f"{path}/read")).json()["unread"] == 0
    await people.ctx.db["messages"].update_one({"_id": "in1"}, {"$set": {"applied": False}})
    await messaging.on_received(people.ctx, [received(1)])  # a redelivery after a crash at the very end
    again = (await people.viewer.get(path)).json()
    assert (again["status"], again["unread"]) == ("resolved", 0)
    await messaging.on_received(people.ctx, [received(2, auto_reply=True)])
    assert (await people.viewer.get(path)).json()["status"] == "resolved"
    await messaging.on_received(people.ctx, [received(3, own=True, text="dari ponsel")])
    await messaging.on_received(people.ctx, [received(4)])
    again = (await people.viewer.get(path)).json()
    assert (again["status"], again["unread"], again["assignee"]) == ("assigned", 1, "operator-1")
    history = (await people.viewer.get(f"{path}/messages")).json()["items"]
    assert [(m["direction"], m["auto_reply"]) for m in history] == [
        ("in", False), ("own", False), ("in", True), ("in", False),
    ]  # fmt: skip


async def test_answering_twice_sends_once_with_the_thread_and_shows_its_outcome(people):
    await messaging.on_received(people.ctx, [received(1, subject="RE: Re: Kopi", references=["<a@x>", "<b@x>"])])
    file = (await people.http.post("/v1/media", files={"file": ("harga.pdf", b"%PDF", "application/pdf")})).json()
    path = f"/v1/conversations/{(await only_conversation(people))['id']}"
    body = {"text": "Masih ada, kak.", "attachments": [file["id"]]}
    answers = await asyncio.gather(
        *(people.http.post(f"{path}/replies", json=body, headers={"Idempotency-Key": "k1"}) for _ in range(5))
    )
    assert {a.status_code for a in answers} == {201}, [a.text for a in answers]
    assert len({a.json()["id"] for a in answers}) == 1
    rows = [r async for r in people.ctx.db["rows"].find({"kind": "reply"})]
    assert len(rows) == 1
    assert rows[0]["to"]["address"] == "siti@example.com"
    assert rows[0]["content"]["subject"] == "Re: Kopi"
    assert rows[0]["content"]["attachments"][0]["filename"] == "harga.pdf"
    assert rows[0]["thread"] == {
        "in_reply_to": "<m1@example.com>",
        "references": ["<a@x>", "<b@x>", "<m1@example.com>"],
    }
    shown = (await people.viewer.get(f"{path}/messages")).json()["items"][0]
    assert (shown["direction"], shown["state"], shown["by"]) == ("out", "pending", "operator-1")
    later = {"state": "failed", "reason": "mailbox_full", "updated_at": datetime.now(UTC) + timedelta(seconds=1)}
    await people.ctx.db["rows"].update_one({"_id": rows[0]["_id"]}, {"$set": later})
    await usecases.reply_state(people.ctx, [(rows[0]["_id"], "failed", "mailbox_full")])
    shown = (await people.viewer.get(f"{path}/messages")).json()["items"][0]
    assert (shown["state"], shown["reason"]) == ("failed", "mailbox_full")
    assert (await only_conversation(people))["preview"] == "Masih ada, kak."


async def test_an_answer_without_key_or_words_or_with_an_unknown_file_is_refused(people):
    await messaging.on_received(people.ctx, [received(1)])
    path = f"/v1/conversations/{(await only_conversation(people))['id']}/replies"
    for body, field in (
        ({"text": "x"}, "Idempotency-Key"),
        ({"text": " ", "client_id": "1"}, "text"),
        ({"text": "x", "client_id": "2", "attachments": ["no"]}, "attachments"),
    ):
        answer = await people.http.post(path, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert (await people.viewer.post(path, json={"text": "x", "client_id": "3"})).status_code == 403
    assert (
        await people.http.post("/v1/conversations/none/replies", json={"text": "x", "client_id": "3"})
    ).status_code == 404
    assert await people.ctx.db["rows"].count({}) == 0


async def test_one_may_answer_who_unsubscribed_and_not_who_is_blocked_or_bounces(people):
    for i, (reason, status) in enumerate((("unsubscribed", 201), ("bounced", 409), ("blocked", 409))):
        peer = f"{reason}@example.com"
        await messaging.on_received(people.ctx, [received(i, peer=peer)])
        await suppression.suppress(people.ctx, "email", peer, reason, "test")
        found = (await people.viewer.get("/v1/conversations", params={"q": peer})).json()["items"][0]
        answer = await people.http.post(
            f"/v1/conversations/{found['id']}/replies", json={"text": "x", "client_id": "1"}
        )
        assert answer.status_code == status, answer.text
        if status == 409:
            assert answer.json()["reason"] == f"address_{reason}"
        assert (await people.viewer.get(f"/v1/conversations/{found['id']}")).json()["suppressed"] == reason


@pytest.mark.parametrize("after_enqueue", [False, True])
async def test_an_answer_whose_process_died_is_queued_once_by_another(people, monkeypatch, after_enqueue):
    await messaging.on_received(people.ctx, [received(1)])
    path = f"/v1/conversations/{(await only_conversation(people))['id']}"
    whole = direct.enqueue

    async def dies(*args, **kwargs):
        if after_enqueue:
            await whole(*args, **kwargs)
        raise RuntimeError("killed")

    monkeypatch.setattr(direct, "enqueue", dies)
    body = {"text": "halo", "client_id": "1"}
    assert (await people.http.post(f"{path}/replies", json=body)).status_code == 500
    monkeypatch.setattr(direct, "enqueue", whole)
    assert await recovery.once(people.ctx, 0) == 1
    assert await recovery.once(people.ctx, 0) == 0
    assert (await people.http.post(f"{path}/replies", json=body)).status_code == 201
    assert await people.ctx.db["rows"].count({"kind": "reply"}) == 1


async def test_stop_unsubscribes_on_chat_channels_only(people):
    phone = "+6281234567890"
    chat = {"channel": "whatsapp", "sender": {"address": phone}}
    await messaging.on_received(people.ctx, [received(1, peer=phone, text="jangan berhenti ya", **chat)])
    await messaging.on_received(people.ctx, [received(2, text="STOP")])
    assert await suppression.suppressed(people.ctx, "whatsapp", [phone]) == set()
    await messaging.on_received(people.ctx, [received(3, peer=phone, text=" Berhenti! ", **chat)])
    assert await suppression.suppressed(people.ctx, "whatsapp", [phone]) == {phone}
    assert await suppression.suppressed(people.ctx, "email", ["siti@example.com"]) == set()


async def test_a_chat_message_answers_the_last_campaign_message_to_its_writer(people):
    phone = "+6281234567890"
    for i, (campaign, at) in enumerate(
        (("old", NOW - timedelta(days=3)), ("new", NOW), ("later", NOW + timedelta(days=9)))
    ):
        row = new_row(
            f"r{i}", campaign=campaign, account="acc_1", channel="whatsapp", kind="campaign",
            to={"address": phone, "name": "S"}, key=phone,
        )  # fmt: skip
        await people.ctx.db["rows"].insert_one({**placed(row, i, i), "state": "sent", "sent_at": at})
    await messaging.on_received(people.ctx, [received(5, peer=phone, channel="whatsapp")])
    assert (await only_conversation(people))["campaigns"] == ["new"]
    assert (await people.ctx.db["rows"].find_one({"_id": "r1"}))["answered_at"] is not None


async def test_an_answer_within_the_second_of_its_question_is_one(people):
    phone = "+6281234567890"
    row = new_row(
        "r1", campaign="c1", account="acc_1", channel="telegram", kind="campaign", to={"address": phone}, key=phone
    )
    at = NOW + timedelta(seconds=5, milliseconds=700)
    await people.ctx.db["rows"].insert_one({**placed(row, 0, 1), "state": "sent", "sent_at": at})
    await messaging.on_received(people.ctx, [received(5, peer=phone, channel="telegram")])  # 5.9 s, cut to 5
    assert (await only_conversation(people))["campaigns"] == ["c1"]


async def test_tabs_notes_tags_and_pages_in_order(people):
    await messaging.on_received(people.ctx, [received(0, peer=f"u{i}@example.com", id=f"x{i}") for i in range(9)])
    seen, cursor = [], None
    while True:
        params = {"limit": 4, **({"cursor": cursor} if cursor else {})}
        page = (await people.viewer.get("/v1/conversations", params=params)).json()
        seen += [c["id"] for c in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 9  # all of the same second: none lost between pages
    path = f"/v1/conversations/{seen[0]}"
    for _ in range(2):
        noted = await people.http.post(f"{path}/notes", json={"text": "telepon besok", "client_id": "n1"})
    assert [n["text"] for n in noted.json()["notes"]] == ["telepon besok"]
    tagged = await people.http.post(f"{path}/tags", json={"add": ["VIP", "baru"], "remove": ["baru"]})
    assert tagged.json()["tags"] == ["vip"]
    await people.http.post(f"{path}/archive")
    await people.http.post(f"/v1/conversations/{seen[1]}/assign", json={"assignee": "Rina"})
    for tab, count in (("all", 8), ("archived", 1), ("assigned", 1), ("unassigned", 7), ("resolved", 0)):
        assert len((await people.viewer.get("/v1/conversations", params={"tab": tab})).json()["items"]) == count, tab
    version = (await people.viewer.get(path)).headers["etag"]
    assert (await people.http.post(f"{path}/reopen", headers={"If-Match": '"1"'})).status_code == 412
    assert (await people.http.post(f"{path}/reopen", headers={"If-Match": version})).status_code == 200


async def test_inbound_files_are_downloaded_by_those_who_may(people):
    stored = await media.bucket(people.ctx).put(b"isi berkas")
    file = {"object": stored, "filename": "../x.html", "content_type": "text/html", "size": 10}
    await messaging.on_received(people.ctx, [received(1, attachments=[file])])
    path = f"/v1/conversations/{(await only_conversation(people))['id']}/messages/in1/attachments"
    answer = await people.viewer.get(f"{path}/0")
    assert answer.content == b"isi berkas"
    assert 'filename="x.html"' in answer.headers["content-disposition"]
    assert (await people.viewer.get(f"{path}/1")).status_code == 404
    assert (await people.nobody.get(f"{path}/0")).status_code == 401


async def test_an_unreadable_message_is_shown_as_a_stub(people):
    await messaging.on_received(people.ctx, [received(1, text="", stub="too_large", peer="odd address")])
    found = await only_conversation(people)
    assert (found["preview"], found["contact"]) == ("[too_large]", None)


async def test_quick_replies(people):
    made = await people.http.post("/v1/quick-replies", json={"shortcut": "Harga", "text": "Rp 50.000"})
    assert made.status_code == 201
    assert (await people.http.post("/v1/quick-replies", json={"shortcut": "harga", "text": "x"})).status_code == 409
    path = f"/v1/quick-replies/{made.json()['id']}"
    body = {"shortcut": "harga", "text": "Rp 60.000", "version": 1}
    assert (await people.http.put(path, json=body)).json()["text"] == "Rp 60.000"
    assert (await people.http.put(path, json=body)).status_code == 412
    assert (await people.http.delete(path)).status_code == 204
    assert (await people.viewer.get("/v1/quick-replies")).json()["items"] == []
