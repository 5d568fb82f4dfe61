"""The story every channel tells: account, contacts, campaign, outbox, replies, one answer, one unsubscribed, one refused."""

import abc
import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from rich.console import Console
from rich.progress import Progress

from kurir.demo.people import Person, acting, csv
from kurir.demo.rest import Json, Rest, wait_for
from kurir.demo.result import Result
from kurir.home import Trouble

ENDED = ("sent", "delivered", "read", "failed", "unknown", "cancelled")
SENT = ("sent", "delivered", "read")
PATIENCE_SECONDS = 120.0
FAILED_SECONDS = 15.0
"""A platform that does not answer yet is tried again by itself; a wrong password stays wrong."""


class Story(abc.ABC):
    """Tells the story through the REST APIs alone, and counts at the practice platform. A channel adds what is its own."""

    channel: ClassVar[str]
    practice: ClassVar[str]
    """Its practice platform, as the state file names it."""
    words: ClassVar[Json]
    """Of the campaign: subject, text, html."""
    never: ClassVar[tuple[str, ...]]
    """What the recipients do that are not reached, one each."""

    def __init__(self, state: dict[str, Any], token: str, recipients: int, console: Console) -> None:
        self.state, self.recipients, self.console = state, recipients, console
        self.place: Json = state["practice_platforms"][self.practice]
        self.rest = Rest(state["services"], token)
        self.run_number = int(time.time()) % 10_000_000
        self.expected_replies = sum(p.replies for p in self.people())
        self.progress = Progress(console=console, transient=True)

    @abc.abstractmethod
    def person(self, number: int, acts: str) -> Person:
        """Return a recipient whose address is new in each run, so that the story can be told again on one platform."""

    @abc.abstractmethod
    async def account(self, **fields: Any) -> str:
        """Connect an account and return its id once it is ready; *fields* go into the request."""

    @abc.abstractmethod
    async def total(self) -> int:
        """Return how many messages the platform has received from whomever."""

    @abc.abstractmethod
    async def copies(self, address: str) -> int:
        """Return how many messages the platform has for that recipient."""

    @abc.abstractmethod
    async def received(self, rows: Sequence[Json]) -> Json:
        """Return the platform's own counts of these rows: `received` (rows that arrived) and `duplicates`."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Close the connection to the practice platform's API."""

    def people(self) -> Iterator[Person]:
        """Yield the recipients."""
        for number in range(self.recipients):
            yield self.person(number, acting(number, self.never))

    def expected(self) -> dict[str, int]:
        """Return the counts that are known beforehand."""
        return {"replies": self.expected_replies, "answered": 1, "unsubscribed": 1}

    async def expect_people(self) -> None:  # noqa: B027  # e-mail recipients act by their address
        """Tell the practice platform of the recipients, where it does not know them by their address."""

    async def refused(self, campaign: str) -> None:  # noqa: B027  # chats refuse at once
        """Wait for what comes later than the campaign's end: a bounce."""

    async def run(self) -> Result:
        """Return the counts; raises Trouble naming the step that did not happen."""
        started = time.monotonic()
        result = Result(self.channel, self.recipients, expected=self.expected())
        try:
            async with self.rest:
                with self.progress:
                    await self._tell(result)
        finally:
            await self.aclose()
        result.seconds = round(time.monotonic() - started, 2)
        return result

    async def _tell(self, result: Result) -> None:
        account = await self.account()
        await self.expect_people()
        campaign = await self.campaign(account, await self.contacts())
        await self.watch(campaign)
        result.replies = await self._replies(campaign)
        result.answered = await self._answer(campaign)
        result.unsubscribed = await self._unsubscribed()
        await self.refused(campaign)
        await self.count(campaign, result)

    async def create(self, **fields: Any) -> str:
        """Create an account and return its id; *fields* go into the request."""
        body = {"name": f"Rehearsal {self.run_number}", "channel": self.channel, **fields}
        return str((await self.rest.call("POST", "accounts", "/v1/accounts", json=body))["id"])

    async def session(self, account: str, *wanted: str) -> Json:
        """Return the account's session once it is in one of these states; raises Trouble where it stays failed."""
        working = time.monotonic()

        async def there() -> Json | None:
            nonlocal working
            found = await self.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
            if found.get("status") not in ("failed", "logged_out"):
                working = time.monotonic()
            elif time.monotonic() - working > FAILED_SECONDS:
                raise Trouble(f"the account could not sign in: {found.get('reason')}")
            return found if found.get("status") in wanted else None

        return await wait_for(f"the account to be {' or '.join(wanted)}", there, PATIENCE_SECONDS)

    async def contacts(self, table: bytes | None = None) -> str:
        """Import the practice people, or those of a CSV table, and return the id of their list."""
        self.say("importing the contacts")
        name = {"name": f"Rehearsal {self.run_number}"}
        contacts: str = (await self.rest.call("POST", "campaigns", "/v1/lists", json=name))["id"]
        body = table or b"".join(csv(self.people()))
        begun = await self.rest.call(
            "POST", "campaigns", "/v1/contacts/imports", params={"lists": contacts}, content=body,
            headers={"Content-Type": "text/csv"},
        )  # fmt: skip
        await wait_for("the import", lambda: self._imported(begun["id"]), PATIENCE_SECONDS + self.recipients / 100)
        return contacts

    async def _imported(self, import_id: str) -> bool:
        found = await self.rest.call("GET", "campaigns", f"/v1/contacts/imports/{import_id}")
        if found["status"] == "failed":
            raise Trouble(f"the import failed: {found}")
        return bool(found["status"] == "done")

    async def campaign(self, account: str, contacts: str, **fields: Any) -> str:
        """Create a campaign, process it, and return its id."""
        self.say("processing the campaign")
        campaign = await self.draft(account, contacts, **fields)
        await self.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/process")
        return campaign

    async def draft(self, account: str, contacts: str, **fields: Any) -> str:
        """Create a campaign and return its id; *fields* go into the request."""
        body = {
            "name": f"Rehearsal {self.run_number}", "channel": self.channel, "accounts": [account],
            "lists": [contacts], **self.words, **fields,
        }  # fmt: skip
        campaign: str = (await self.rest.call("POST", "campaigns", "/v1/campaigns", json=body))["id"]
        return campaign

    async def watch(self, campaign: str) -> None:
        """Wait until the campaign is done; raises Trouble when nothing moves any more."""
        task = self.progress.add_task("sending", total=self.recipients)
        last, since = -1, time.monotonic()
        while True:
            found = await self.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")
            ended = sum(found["counts"].get(state, 0) for state in ENDED)
            self.progress.update(task, completed=ended)
            if found["status"] == "done":
                return
            if ended != last:
                last, since = ended, time.monotonic()
            if time.monotonic() - since > PATIENCE_SECONDS:
                raise Trouble(f"nothing moved for {PATIENCE_SECONDS:.0f} s: {found['status']} {found['counts']}")
            await asyncio.sleep(0.3)

    async def _replies(self, campaign: str) -> int:
        self.say("waiting for the replies")
        await self.eventually(lambda: self._conversations(campaign), self.expected_replies)
        return await self._conversations(campaign)

    async def _conversations(self, campaign: str) -> int:
        return len([c async for c in self.rest.items("campaigns", "/v1/conversations", campaign=campaign, limit=200)])

    async def _answer(self, campaign: str) -> int:
        """Answer one reply, and look for the answer where it was sent to."""
        self.say("answering one reply")
        async for conversation in self.rest.items("campaigns", "/v1/conversations", campaign=campaign, limit=1):
            peer = conversation["address"]
            before = await self.copies(peer)
            path = f"/v1/conversations/{conversation['id']}/replies"
            key = {"Idempotency-Key": f"rehearsal-{self.run_number}"}
            for _ in range(2):  # pressed twice: sent once
                await self.rest.call("POST", "campaigns", path, json={"text": "Masih ada, kak."}, headers=key)

            async def arrived(peer: str = peer, before: int = before) -> int:
                return await self.copies(peer) - before

            await self.eventually(arrived, 1)
            await asyncio.sleep(1)  # a second copy would come now
            return await arrived()
        return 0

    async def _unsubscribed(self) -> int:
        person = next(p for p in self.people() if p.acts == "unsubscribe")

        async def suppressed() -> int:
            params = {"channel": self.channel, "q": person.address}
            return len([s async for s in self.rest.items("campaigns", "/v1/suppressions", **params)])

        self.say("waiting for the unsubscription")
        await self.eventually(suppressed, 1)
        return await suppressed()

    async def count(self, campaign: str, result: Result) -> None:
        """Count by the rows of the outbox, and by what the platform received for them."""
        rows = [row async for row in self.rest.items("campaigns", "/v1/outbox", campaign=campaign, limit=1000)]
        for row in rows:
            _count_row(row, result)
        received = await self.received(rows)
        result.platform_received, result.duplicates = received["received"], received["duplicates"]

    async def eventually(self, ask: Any, wanted: int) -> None:
        """Wait for a count; what is missing at the end is told by the result, not here."""

        async def enough() -> bool:
            return bool(await ask() >= wanted)

        try:
            await wait_for("", enough, PATIENCE_SECONDS)
        except Trouble:
            return

    def say(self, step: str) -> None:
        """Tell the person what is being done."""
        self.console.print(f"[dim]{step}")


def _count_row(row: Json, result: Result) -> None:
    result.sent += row["state"] in SENT
    result.bounced += bool(row.get("bounced"))
    for state in ("failed", "unknown", "cancelled"):
        setattr(result, state, getattr(result, state) + (row["state"] == state))
