"""Receipts of chat platforms, which know their own ids and no row of ours."""

import asyncio
from datetime import UTC, datetime

import pytest
from campaigns.outbox import messaging, receipts
from campaigns.outbox.rows import new_row, placed
from contracts.inbox import Delivered, Read, Sent

NOW = datetime.now(UTC).replace(microsecond=0)
SITI, BUDI = "+6281200000001", "+6281200000002"


async def row(people, number: int, ids: list[str], to: str = SITI, state: str = "sent", **fields) -> str:
    account, kind = fields.pop("account", "acc_1"), fields.pop("kind", "campaign")
    made = new_row(
        f"r{number}", campaign="c1", account=account, channel="telegram", kind=kind, to={"address": to}, key=to
    )
    stored = {**placed(made, number, number), "state": state, "sent_at": NOW, "platform_ids": ids, "batch": "c1.1"}
    await people.ctx.db["rows"].insert_one({**stored, **fields})
    return f"r{number}"


def receipt(kind, platform_id: str, conversation: str = SITI, **fields):
    return kind(
        account_id="acc_1", channel="telegram", at=NOW, platform_id=platform_id, conversation=conversation, **fields
    )


async def states(people) -> list[str]:
    return [r["state"] async for r in people.ctx.db["rows"].find({}, sort=[("number", 1)])]


async def hear(people, *messages, later=None) -> None:
    await messaging.hear(people.ctx, list(messages), **({"later": later} if later else {}))


async def test_what_was_read_up_to_an_id_is_read_and_nothing_else(people):
    """Ids are numbers: 99 is before 100."""
    await row(people, 0, ["99"])
    await row(people, 1, ["100"], state="delivered")
    await row(people, 2, ["101"])
    await row(people, 3, ["98"], to=BUDI)
    await row(people, 4, ["97"], account="acc_2")
    await row(people, 5, ["96"], state="failed")
    for _ in range(2):
        await hear(people, receipt(Read, "100", up_to=True))
        assert await states(people) == ["read", "read", "sent", "sent", "sent", "failed"]
    await hear(people, receipt(Delivered, "101", up_to=True))
    assert await states(people) == ["read", "read", "delivered", "sent", "sent", "failed"]
    slices = [s["_id"] async for s in people.ctx.db["slices"].find({"dirty": True})]
    assert slices == ["c1.acc_1.0"]


async def test_an_id_that_is_no_number_is_named_exactly(people):
    await row(people, 0, ["3EB0A"])
    await row(people, 1, ["3EB0B"])
    await hear(people, receipt(Delivered, "3EB0A"), receipt(Read, "3EB0C"))
    assert await states(people) == ["delivered", "sent"]
    await hear(people, receipt(Read, "3EB0A"), receipt(Delivered, "3EB0A"))
    assert await states(people) == ["read", "sent"]


async def test_a_row_of_several_bubbles_counts_when_all_of_them_were_heard_of(people):
    await row(people, 0, ["a", "b"])
    for message, state in (
        (receipt(Delivered, "a"), "sent"),
        (receipt(Read, "b"), "delivered"),
        (receipt(Read, "b"), "delivered"),
        (receipt(Read, "a"), "read"),
    ):
        await hear(people, message)
        assert await states(people) == [state]


async def test_up_to_counts_for_several_bubbles_when_it_covers_the_last(people):
    await row(people, 0, ["9", "10"])
    await hear(people, receipt(Read, "9", up_to=True))
    assert await states(people) == ["sent"]
    await hear(people, receipt(Read, "10", up_to=True))
    assert await states(people) == ["read"]


async def test_two_readers_that_hear_of_one_bubble_each_complete_the_row(people, monkeypatch):
    """Both have read the row before either writes."""
    await row(people, 0, ["a", "b"])
    both, write = asyncio.Barrier(2), receipts._write

    async def at_once(ctx, heard):
        await both.wait()
        return await write(ctx, heard)

    monkeypatch.setattr(receipts, "_write", at_once)
    await asyncio.gather(hear(people, receipt(Read, "a")), hear(people, receipt(Read, "b")))
    assert await states(people) == ["read"]


async def test_a_receipt_that_may_be_about_a_row_not_known_to_be_sent_comes_again(people):
    early = []
    await row(people, 0, [], state="queued")
    await row(people, 1, [], state="queued", to=BUDI)
    told = [receipt(Read, "7", up_to=True), receipt(Read, "8"), receipt(Read, "7", "+6281200000009")]
    await hear(people, *told, later=lambda m: not early.append(m))
    assert early == told[:2]
    assert await states(people) == ["queued", "queued"]
    sent = Sent(
        account_id="acc_1", channel="telegram", campaign_id="c1", row="r0", batch="c1.1", k=1, number=0, at=NOW,
        platform_ids=["7"],
    )  # fmt: skip
    await hear(people, sent, *early, later=lambda m: pytest.fail(f"{m} again"))
    assert await states(people) == ["read", "queued"]


async def test_an_answer_in_the_inbox_shows_that_it_was_read(people):
    await row(people, 0, ["5"], kind="reply")
    await people.ctx.db["messages"].insert_one({"_id": "m", "conversation": "talk", "row": "r0", "state": "sent"})
    await hear(people, receipt(Read, "5", up_to=True))
    assert (await people.ctx.db["messages"].find_one({"_id": "m"}))["state"] == "read"
