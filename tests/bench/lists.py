"""The outbox and the conversations as lists over REST: 100,000 of each, every filter of the API, pages deep inside.

Rows are made as the product makes them and stored directly; everything else is the running platform.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from campaigns.campaign.store import CAMPAIGNS, machinery
from campaigns.inbox import store as inbox
from campaigns.outbox import counts
from campaigns.outbox.rows import ROWS, new_row, of_contact, placed
from contracts.channels import Channel
from contracts.inbox import Received
from servicekit.mongo import Database, connect
from servicekit.settings import ServiceSettings

from tests.bench.measure import Figure, platform_on
from tests.support.live import Live

COUNT, ACCOUNTS, STORIES = 100_000, 8, 4
AIM_MS = {"secantusd-py": 500}
AIM_ELSEWHERE_MS = 100
ROUNDS = {"secantusd-py": 4}
ROUNDS_ELSEWHERE = 12
BEGAN = datetime.now(UTC) - timedelta(days=30)
Params = dict[str, Any]
OUTBOX: dict[str, Params] = {
    "no filter": {}, "sent": {"state": "sent"}, "failed, one in a hundred": {"state": "failed"},
    "unknown, one in five thousand": {"state": "unknown"}, "pending, the newest fifth": {"state": "pending"},
    "delivered, none": {"state": "delivered"}, "an account": {"account": "acc_3"},
    "an account's failed": {"account": "acc_3", "state": "failed"}, "a campaign": {"campaign": "story1"},
    "a campaign's cancelled": {"campaign": "story1", "state": "cancelled"}, "channel": {"channel": "email"},
    "kind": {"kind": "campaign"}, "kind, none": {"kind": "reply"}, "bounced": {"bounced": "true"},
    "answered": {"answered": "true"}, "not answered": {"answered": "false"},
    "since": {"since": (BEGAN + timedelta(days=29)).isoformat()},
    "until": {"until": (BEGAN + timedelta(days=11)).isoformat()},
    "a day": {"since": (BEGAN + timedelta(days=15)).isoformat(), "until": (BEGAN + timedelta(days=16)).isoformat()},
    "an address": {"q": "person-77123@practice.test"}, "an address begins": {"q": "person-771"},
    "a name begins": {"q": "Siti 9"}, "everybody": {"q": "p"}, "nobody": {"q": "zzz"},
}  # fmt: skip
INBOX: dict[str, Params] = {
    "no filter": {}, "unassigned": {"tab": "unassigned"}, "assigned, one in fifty": {"tab": "assigned"},
    "resolved, the oldest half": {"tab": "resolved"}, "archived, one in ten thousand": {"tab": "archived"},
    "an account": {"account": "acc_3"}, "channel": {"channel": "email"}, "channel, none": {"channel": "whatsapp"},
    "a campaign": {"campaign": "story1"}, "a tag, one in a thousand": {"tag": "vip"}, "a tag, none": {"tag": "none"},
    "an assignee": {"assignee": "ani"}, "a name begins": {"q": "siti 9"}, "an address": {"q": "person-77123@"},
    "everybody": {"q": "p"}, "nobody": {"q": "zzz"},
}  # fmt: skip


async def measure(store: str) -> list[Figure]:
    """Return the 99th percentile of each list over all filters, and of its slowest filter."""
    async with platform_on(store) as kurir:
        db = connect(ServiceSettings(service="campaigns", mongo_url=kurir.platform.endpoints.mongo_url))
        await asyncio.gather(_fill_outbox(db), _fill_inbox(db))
        await _until_counted(db)
        found = await _timed(kurir, store, "/v1/outbox", OUTBOX, {"limit": 50})
        found += await _timed(kurir, store, "/v1/conversations", INBOX, {"limit": 50})
        db.close()
    return found


async def _timed(kurir: Live, store: str, path: str, filters: dict[str, Params], more: Params) -> list[Figure]:
    url = kurir.platform.state()["services"]["campaigns"]
    rounds, aim = ROUNDS.get(store, ROUNDS_ELSEWHERE), AIM_MS.get(store, AIM_ELSEWHERE_MS)
    each: dict[str, list[float]] = {}
    async with httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {kurir.token}"}, timeout=60) as http:
        for _ in range(rounds):
            for name, params in filters.items():
                each.setdefault(name, []).extend(await _pages(http, path, {**params, **more}))
    slowest = max(each, key=lambda name: max(each[name]))
    every = sorted(ms for found in each.values() for ms in found)
    p99 = every[int(len(every) * 0.99)]
    what = f"REST list {path}, {COUNT:,}, {len(filters)} filters, two pages each"
    return [
        Figure(f"{what}: p99", p99, "ms", aim=f"<= {aim} ms", met=p99 <= aim, store=store),
        Figure(f"{what}: median", statistics.median(every), "ms", store=store),
        Figure(f"{path}, slowest filter ({slowest}): median", statistics.median(each[slowest]), "ms", store=store),
    ]


async def _pages(http: httpx.AsyncClient, path: str, params: Params) -> list[float]:
    """Return the milliseconds of the first page, and of the one behind it where there is one."""
    took: list[float] = []
    cursor = None
    for _ in range(2):
        started = time.perf_counter()
        answer = await http.get(path, params={**params, **({"cursor": cursor} if cursor else {})})
        took.append((time.perf_counter() - started) * 1_000)
        answer.raise_for_status()
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    return took


async def _fill_outbox(db: Database) -> None:
    await db["counters"].update_one({"_id": ROWS}, {"$set": {"n": COUNT}}, upsert=True)
    for story in range(STORIES):
        fields = {**machinery(), "kind": "campaign", "name": f"Story {story}", "channel": "email", "status": "paused",
                  "accounts": [], "text": "Kopi untuk {{ name }}", "subject": "Halo {{ name }}", "seq": story + 1}  # fmt: skip
        await db[CAMPAIGNS].insert_one({"_id": f"story{story}", **fields, "created_at": BEGAN})
    touched: set[str] = set()
    for part in _parts(_rows()):
        await db[ROWS].insert_many(part)
        touched |= {str(row["slice"]) for row in part}
    dirty = [{"_id": name, "gen": 1, "dirty": True, **counts.parts(name)} for name in sorted(touched)]
    await db[counts.SLICES].insert_many(dirty)


def _rows() -> Iterator[dict[str, Any]]:
    chance, numbers = random.Random(4), dict.fromkeys(range(STORIES * ACCOUNTS), 0)
    for index in range(COUNT):
        story, account = index * STORIES // COUNT, chance.randrange(ACCOUNTS)
        key, at = f"person-{index}@practice.test", BEGAN + timedelta(seconds=index * 25)
        row = new_row(f"row{index:08d}", campaign=f"story{story}", account=f"acc_{account}", channel="email",
                      kind="campaign", to={"address": key, "name": f"Siti {index}"}, key=key, now=at)  # fmt: skip
        number = numbers[story * ACCOUNTS + account]
        numbers[story * ACCOUNTS + account] += 1
        yield {
            **placed(of_contact(row, f"c{index}", {"name": f"Siti {index}"}), number, index + 1),
            **_end(index, at, chance),
        }


def _end(index: int, at: datetime, chance: random.Random) -> dict[str, Any]:
    if index >= COUNT * 0.8:
        return {}
    state = chance.choices(["sent", "failed", "cancelled", "unknown"], [9_870, 100, 28, 2])[0]
    facts: dict[str, Any] = {"state": state, "sent_at": at}
    if chance.random() < 0.001:
        facts["bounced"] = {"kind": "bounce", "hard": True}
    if chance.random() < 0.002:
        facts["answered_at"] = at
    return facts


async def _fill_inbox(db: Database) -> None:
    for part in _parts(_conversations()):
        await db["conversations"].insert_many(part)


def _conversations() -> Iterator[dict[str, Any]]:
    for index in range(COUNT):
        at, peer = BEGAN + timedelta(seconds=index * 25), f"person-{index}@practice.test"
        heard = Received.model_validate({
            "id": f"in{index}", "account_id": f"acc_{index % ACCOUNTS}", "channel": Channel.EMAIL, "platform_id": f"<{index}@x>",
            "sender": {"address": peer, "name": f"Siti {index}"}, "conversation": peer, "at": at, "text": "Halo",
        })  # fmt: skip
        yield {
            "_id": f"talk{index:08d}",
            **inbox.new_conversation(heard, f"c{index}"),
            **_order(index),
            **inbox.shown_as(at, "Halo", "in"),
        }


def _order(index: int) -> dict[str, Any]:
    """Return what people made of a conversation: the oldest half is resolved, some of the others are somebody's."""
    closed = "archived" if index % 10_000 == 7 else ("resolved" if index < COUNT / 2 else None)
    return {
        "closed": closed, "assignee": "ani" if index % 50 == 3 else None, "tags": ["vip"] if index % 1_000 == 5 else [],
        "campaigns": [f"story{index * STORIES // COUNT}"] if index % 3 == 0 else [],
    }  # fmt: skip


def _parts(documents: Iterator[dict[str, Any]], size: int = 2_000) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for document in documents:
        part.append(document)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


async def _until_counted(db: Database) -> None:
    """Wait until the service has counted what was stored behind its back."""
    for _ in range(600):
        if await db[counts.SLICES].find_one({"dirty": True}, {"_id": 1}) is None:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the slices were not counted")
