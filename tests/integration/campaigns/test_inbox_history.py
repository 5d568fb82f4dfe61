"""What a conversation shows of a campaign: its words, the order of question and answer, and machines' answers."""

from datetime import UTC, datetime, timedelta

import pytest
from campaigns.accounts import Accounts
from campaigns.campaign import store as campaigns
from campaigns.inbox import messaging
from campaigns.media import usecases as media
from campaigns.outbox.rows import new_row, placed
from contracts.channels import Channel
from contracts.inbox import Received
from contracts.state import DesiredAccount

SECOND = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
SENT = SECOND + timedelta(milliseconds=700)
PEER = "siti@example.com"


def answer(message: str = "in1", **fields) -> Received:
    """Return an e-mail whose Date has whole seconds, as all have."""
    base = {
        "id": message, "account_id": "acc_1", "channel": "email", "platform_id": f"<{message}@example.com>",
        "sender": {"address": PEER, "name": "Siti"}, "conversation": PEER, "at": SECOND, "subject": "Re: Kopi",
        "text": "mau", "references": [],
    }  # fmt: skip
    return Received.model_validate({**base, **fields})


async def sent_row(people, campaign: str, row: str = "row1", state: str = "sent", number: int = 0) -> str:
    """Store a row of a campaign to the peer."""
    made = new_row(
        row, campaign=campaign, account="acc_1", channel="email", kind="campaign", to={"address": PEER, "name": "Siti"},
        key=PEER,
    )  # fmt: skip
    fields = {"state": state, "sent_at": SENT if state == "sent" else None, "vars": {"name": "Siti", "stok": "7"}}
    await people.ctx.db["rows"].insert_one({**placed(made, number, number + 1), **fields})
    return row


async def path_of(people) -> str:
    """Return the path of the only conversation."""
    found = (await people.viewer.get("/v1/conversations")).json()["items"]
    assert len(found) == 1, found
    return f"/v1/conversations/{found[0]['id']}"


async def history(people) -> list[dict]:
    """Return the messages of the only conversation, newest first."""
    return (await people.viewer.get(f"{await path_of(people)}/messages")).json()["items"]


async def test_a_campaigns_message_shows_what_its_recipient_got(people):
    stored = await media.bucket(people.ctx).put(b"daftar harga")
    file = {"object": stored, "filename": "harga.pdf", "content_type": "application/pdf", "size": 12}
    words = {
        "name": "Kopi", "channel": "email", "subject": "Halo {{ name }}", "text": "Sisa {{ stok }}, {{ name }}.",
        "html": "<p>Sisa {{ stok }}</p><script>x()</script>", "bubbles": ["Satu", "Dua {{ stok }}"], "media": [file],
    }  # fmt: skip
    made = await campaigns.insert(people.ctx, words)
    await messaging.on_received(people.ctx, [answer(answers_row=await sent_row(people, made["_id"]))])
    theirs, ours = await history(people)
    assert (theirs["text"], theirs["direction"]) == ("mau", "in")
    assert (ours["subject"], ours["text"]) == ("Halo Siti", "Sisa 7, Siti.\n\nSatu\n\nDua 7")
    assert ours["html"] == "<p>Sisa 7</p>"
    assert [f["filename"] for f in ours["attachments"]] == ["harga.pdf"]
    files = f"{await path_of(people)}/messages/{ours['id']}/attachments"
    assert (await people.viewer.get(f"{files}/0")).content == b"daftar harga"
    assert (await people.viewer.get(f"{files}/1")).status_code == 404


async def test_a_message_of_another_program_shows_what_is_known_of_it(people):
    row = await sent_row(people, "their-own")
    await people.ctx.db["rows"].update_one({"_id": row}, {"$set": {"subject": "Tagihan", "text": "Jatuh tempo"}})
    await messaging.on_received(people.ctx, [answer(answers_row=row)])
    assert [(m["subject"], m["text"]) for m in await history(people)] == [
        ("Re: Kopi", "mau"),
        ("Tagihan", "Jatuh tempo"),
    ]


@pytest.mark.parametrize("message", ["in1", "zz1"])  # the ids break ties: neither side may win by its name
@pytest.mark.parametrize("late", [timedelta(), timedelta(hours=-3), timedelta(milliseconds=700)])
async def test_an_answer_stands_behind_what_it_answers_whatever_its_clock_says(people, message, late):
    row = await sent_row(people, "c1")
    for _ in range(2):  # the second is a redelivery
        await messaging.on_received(people.ctx, [answer(message, answers_row=row, at=SECOND + late)])
    assert [m["direction"] for m in await history(people)] == ["in", "out"]
    shown = (await people.viewer.get(await path_of(people))).json()
    assert (shown["preview"], shown["last_direction"]) == ("mau", "in")


async def test_an_answer_that_comes_later_keeps_its_own_time(people):
    at = SECOND + timedelta(minutes=5)
    await messaging.on_received(people.ctx, [answer(answers_row=await sent_row(people, "c1"), at=at)])
    assert datetime.fromisoformat((await history(people))[0]["at"]) == at


async def test_a_machines_answer_belongs_to_its_campaign_and_is_no_reply(people):
    row = await sent_row(people, "c1")
    waiting = await sent_row(people, "c1", "row2", "pending", 1)
    await messaging.on_received(people.ctx, [answer(answers_row=row, auto_reply=True)])
    found = (await people.viewer.get("/v1/conversations", params={"campaign": "c1"})).json()["items"]
    assert [(c["campaigns"], c["unread"]) for c in found] == [(["c1"], 0)]
    assert (await people.ctx.db["rows"].find_one({"_id": row}))["answered_at"] is None
    assert (await people.ctx.db["rows"].find_one({"_id": waiting}))["state"] == "pending"


@pytest.mark.parametrize("known", ["deleted", "deleting"])
async def test_nobody_answers_from_an_account_that_is_gone(people, monkeypatch, known):
    await messaging.on_received(people.ctx, [answer()])
    path = f"{await path_of(people)}/replies"
    first = await people.http.post(path, json={"text": "ya", "client_id": "1"})
    assert first.status_code == 201, first.text  # an account that is merely not seen yet is no deleted one
    if known == "deleted":
        await people.ctx.db["gone_accounts"].insert_one({"_id": "acc_1", "move_to": None, "at": SECOND})
    else:
        gone = DesiredAccount(account_id="acc_1", channel=Channel.EMAIL, version=2, status="deleting")
        monkeypatch.setattr(Accounts, "desired", lambda *_: gone)
    refused = await people.http.post(path, json={"text": "lagi", "client_id": "2"})
    assert (refused.status_code, refused.json()["reason"]) == (409, "account_deleted")
    again = await people.http.post(path, json={"text": "ya", "client_id": "1"})
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])  # what was accepted stays accepted
    assert await people.ctx.db["messages"].count({"direction": "out"}) == 1
