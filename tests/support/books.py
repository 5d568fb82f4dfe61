"""Three books of one campaign that must agree: outbox rows, events in INBOX, and what the practice platform truly received.

And of the inbox: what people wrote to the account, events, and the messages people see.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from contracts.headers import CE_TYPE
from contracts.inbox import Cancelled, Failed, Outcome, Received, Sent, Unknown
from servicekit import stream_reader

from tests.support.live import Live

Json = dict[str, Any]
SENT = ("sent", "delivered", "read")
_PLAIN = {"delivered": "sent", "read": "sent"}
ENDS = (*SENT, "unknown", "failed", "cancelled")


@dataclass
class Books:
    """What each book says about every row of a campaign. `troubles` is empty where they agree."""

    rows: dict[str, Json]
    events: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Row → ends heard of: sent, failed, unknown, cancelled."""
    copies: Counter[str] = field(default_factory=Counter)
    """Row → copies that carry its key: a Message-ID, a random_id."""
    arrived: Counter[str] = field(default_factory=Counter)
    """Recipient → copies, whatever their key."""

    def states(self) -> Counter[str]:
        """Return how many rows are in each state."""
        return Counter(row["state"] for row in self.rows.values())

    def duplicates(self) -> int:
        """Return the copies beyond what was asked for."""
        return sum(max(0, self._arrived(row) - 1 - row["wanted"]) for row in self.rows.values())

    def of(self, state: str) -> list[str]:
        """Return the rows in that state."""
        return sorted(name for name, row in self.rows.items() if row["state"] == state)

    def first(self) -> str:
        """Return the row of the lowest number."""
        return min(self.rows, key=lambda name: int(self.rows[name]["number"]))

    def troubles(self, *, open_states: tuple[str, ...] = ()) -> list[str]:
        """Return what does not agree, a line each; *open_states* are no trouble (pending in a campaign that is paused)."""
        return [line for name, row in self.rows.items() for line in self._row(name, row, open_states)]

    def _arrived(self, row: Json) -> int:
        return self.arrived[row["to"]["address"].casefold()]

    def _row(self, name: str, row: Json, open_states: tuple[str, ...]) -> list[str]:
        state, heard, copies = row["state"], self.events[name], self._arrived(row)
        said = f"{row['to']['address']} is {state} ({row['reason']}), {copies} copies, events {sorted(heard)}"
        wrong = {
            "has no end": state not in (*ENDS, *open_states),
            "arrived too often": copies > 1 + row["wanted"],
            "arrived under another key": copies != self.copies[name],
            "is sent and did not arrive": state in SENT and not copies,
            "is sent and no event says so": state in SENT and "sent" not in heard,
            "is not sent and arrived": state not in (*SENT, "unknown") and copies and not row["wanted"],
            "was heard to be sent": "sent" in heard and state not in SENT and not row["wanted"],
        }
        return [f"{what}: {said}" for what, is_so in wrong.items() if is_so]


async def open_books(kurir: Live, campaign: str) -> Books:
    """Return the three books of a campaign."""
    rows = kurir.rest.items("campaigns", "/v1/outbox", campaign=campaign, limit=1000)
    books = Books({row["id"]: row | {"state": _PLAIN.get(row["state"], row["state"])} async for row in rows})
    for event in await events(kurir):
        if isinstance(event, Outcome) and event.row in books.rows:
            books.events[event.row].add(event.NAME.rpartition(".")[2])
    books.copies, books.arrived = await kurir.outside.copies(books.rows)
    return books


async def events(kurir: Live) -> list[Outcome | Received]:
    """Return every outcome and every inbound message that INBOX holds, repeats included."""
    models = {model.ce_type(): model for model in (Sent, Failed, Unknown, Cancelled, Received)}
    connection = await kurir.bus()
    try:
        read = stream_reader.read(connection.jetstream(), "INBOX", "inbox.>")
        found = [(models.get((m.headers or {}).get(CE_TYPE, "")), m.data) async for m in read]
    finally:
        await connection.close()
    return [model.model_validate_json(data) for model, data in found if model]


@dataclass
class Mailbox:
    """What each book says about what came in for one account. A message goes by the platform's id of it."""

    lying: Counter[str]
    """Message → copies at the platform."""
    events: dict[str, set[str]]
    """Message → ids of the events that announced it."""
    shown: Counter[str]
    """Event's id → how often people see it in a conversation."""
    unread: int

    def troubles(self) -> list[str]:
        """Return what does not agree, a line each."""
        ids = {event for found in self.events.values() for event in found}
        wrong = [f"{m}: {len(self.events.get(m, ()))} events" for m in self.lying if len(self.events.get(m, ())) != 1]
        wrong += [f"{m} was announced and never came" for m in self.events if m not in self.lying]
        wrong += [f"{event} is shown {self.shown[event]} times" for event in sorted(ids) if self.shown[event] != 1]
        if self.unread != len(ids):
            wrong.append(f"{len(ids)} messages came in, {self.unread} count as unread")
        return wrong


async def open_mailbox(kurir: Live, account: Json, skip: int = 0) -> Mailbox:
    """Return the books of what came in for *account*, as the accounts service tells it. Nobody may have read it yet.

    *skip*: so many messages lay there before the account was connected.
    """
    people = await kurir.outside.lying(account, skip)
    announced: dict[str, set[str]] = defaultdict(set)
    for event in await events(kurir):
        if isinstance(event, Received) and event.account_id == account["id"] and not event.own:
            announced[event.platform_id].add(event.id)
    box = Mailbox(people, announced, Counter(), 0)
    async for conversation in kurir.rest.items("campaigns", "/v1/conversations", account=account["id"], limit=200):
        box.unread += conversation["unread"]
        path = f"/v1/conversations/{conversation['id']}/messages"
        async for message in kurir.rest.items("campaigns", path, limit=200):
            box.shown[message["id"]] += message["direction"] == "in"
    return box
