"""The e-mail story: account, contacts, campaign, outbox, replies, one answer, one unsubscribe, one bounce."""

import asyncio
import time
from typing import Any

from contracts.ids import message_id
from practice.client import MailClient
from rich.console import Console
from rich.progress import Progress

from kurir.demo.people import DOMAIN, csv, people
from kurir.demo.rest import Json, Rest, wait_for
from kurir.demo.result import Result
from kurir.home import Trouble

ADDRESS = f"toko@{DOMAIN}"
PASSWORD = "rehearsal"  # noqa: S105  # of a practice account
ENDED = ("sent", "delivered", "read", "failed", "unknown", "cancelled")
SENT = ("sent", "delivered", "read")
PATIENCE_SECONDS = 120.0


class EmailStory:
    """Tells the story through the REST APIs alone, and counts at the practice mail server."""

    def __init__(self, state: dict[str, Any], token: str, recipients: int, console: Console) -> None:
        self.state, self.recipients, self.console = state, recipients, console
        self.rest = Rest(state["services"], token)
        self.mail = MailClient(state["practice_mail"]["api"])
        self.run_number = int(time.time()) % 10_000_000
        self.expected_replies = sum(p.acts == "reply" for p in people(recipients, self.run_number))
        self.progress = Progress(console=console, transient=True)

    async def run(self) -> Result:
        """Return the counts; raises Trouble naming the step that did not happen."""
        started = time.monotonic()
        result = Result("email", self.recipients, expected=self._expected())
        async with self.rest, self.mail:
            with self.progress:
                account = await self.account()
                contacts = await self.contacts()
                campaign = await self.campaign(account, contacts)
                await self.watch(campaign)
                result.replies = await self._replies(campaign)
                result.answered = await self._answer(campaign)
                result.unsubscribed = await self._unsubscribed()
                await self._bounced(campaign)
                await self.count(campaign, result)
        result.seconds = round(time.monotonic() - started, 2)
        return result

    def _expected(self) -> dict[str, int]:
        return {"replies": self.expected_replies, "answered": 1, "unsubscribed": 1, "bounced": 1}

    async def account(self, **fields: Any) -> str:
        """Connect an account and return its id once it is ready; *fields* go into the request."""
        self._say("connecting the account")
        await self.mail.put_account(ADDRESS, PASSWORD)
        practice = self.state["practice_mail"]
        server = {"host": "localhost", "security": "starttls", "username": ADDRESS}
        settings = {
            "preset": "custom",
            "smtp": server | {"port": practice["smtp_port"], "from_address": ADDRESS, "from_name": "Toko Latihan"},
            "imap": server | {"port": practice["imap_port"], "append_sent": True},
            "ca_file": practice["ca_file"],
        }
        credentials = {"smtp_password": PASSWORD, "imap_password": PASSWORD}
        login = {"settings": settings, "credentials": credentials}
        tested = await self.rest.call("POST", "accounts", "/v1/channels/email/test", json=login)
        if not tested["ok"]:
            raise Trouble(f"[Test SMTP] failed: {tested}")
        pace = {"per_second": None, "connections": 8}
        body = {"name": f"Rehearsal {self.run_number}", "channel": "email", "pace": pace, **login, **fields}
        account: str = (await self.rest.call("POST", "accounts", "/v1/accounts", json=body))["id"]
        await wait_for("the account to be ready", lambda: self._ready(account), PATIENCE_SECONDS)
        return account

    async def _ready(self, account: str) -> bool:
        session = await self.rest.call("GET", "accounts", f"/v1/accounts/{account}/session")
        if session.get("status") == "failed":
            raise Trouble(f"the account could not sign in: {session.get('reason')}")
        return session.get("status") == "ready"

    async def contacts(self, table: bytes | None = None) -> str:
        """Import the practice people, or those of a CSV table, and return the id of their list."""
        self._say("importing the contacts")
        name = {"name": f"Rehearsal {self.run_number}"}
        contacts: str = (await self.rest.call("POST", "campaigns", "/v1/lists", json=name))["id"]
        body = table or b"".join(csv(self.recipients, self.run_number))
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
        self._say("processing the campaign")
        campaign = await self.draft(account, contacts, **fields)
        await self.rest.call("POST", "campaigns", f"/v1/campaigns/{campaign}/process")
        return campaign

    async def draft(self, account: str, contacts: str, **fields: Any) -> str:
        """Create a campaign and return its id; *fields* go into the request."""
        body = {
            "name": f"Rehearsal {self.run_number}", "channel": "email", "accounts": [account], "lists": [contacts],
            "subject": "{Hi|Halo} {{ name }}", "text": "Kopi Gayo sudah datang, {{ name }} di {{ city }}.",
            "html": "<p>Kopi Gayo sudah datang, <b>{{ name }}</b> di {{ city }}.</p>", **fields,
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
        self._say("waiting for the replies")
        await self._eventually(lambda: self._conversations(campaign), self.expected_replies)
        return await self._conversations(campaign)

    async def _conversations(self, campaign: str) -> int:
        return len([c async for c in self.rest.items("campaigns", "/v1/conversations", campaign=campaign, limit=200)])

    async def _answer(self, campaign: str) -> int:
        """Answer one reply, and look for the answer where it was sent to."""
        self._say("answering one reply")
        async for conversation in self.rest.items("campaigns", "/v1/conversations", campaign=campaign, limit=1):
            peer = conversation["address"]
            before = len(await self.mail.messages(to=peer))
            path = f"/v1/conversations/{conversation['id']}/replies"
            key = {"Idempotency-Key": f"rehearsal-{self.run_number}"}
            for _ in range(2):  # pressed twice: sent once
                await self.rest.call("POST", "campaigns", path, json={"text": "Masih ada, kak."}, headers=key)

            async def arrived(peer: str = peer, before: int = before) -> int:
                return len(await self.mail.messages(to=peer)) - before

            await self._eventually(arrived, 1)
            await asyncio.sleep(1)  # a second copy would come now
            return await arrived()
        return 0

    async def _unsubscribed(self) -> int:
        person = next(p for p in people(self.recipients, self.run_number) if p.acts == "unsubscribe")

        async def suppressed() -> int:
            params = {"channel": "email", "q": person.email}
            return len([s async for s in self.rest.items("campaigns", "/v1/suppressions", **params)])

        self._say("waiting for the unsubscription")
        await self._eventually(suppressed, 1)
        return await suppressed()

    async def _bounced(self, campaign: str) -> None:
        self._say("waiting for the bounce")

        async def bounced() -> int:
            found = await self.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")
            return int(found["counts"].get("bounced", 0))

        await self._eventually(bounced, 1)

    async def count(self, campaign: str, result: Result) -> None:
        """Count by the rows of the outbox, and by what the mail server received for them."""
        ids = []
        async for row in self.rest.items("campaigns", "/v1/outbox", campaign=campaign, limit=1000):
            self._count_row(row, result)
            ids.append(message_id(row["id"], row["wanted"], DOMAIN))
        received = await self.mail.counts_by_message_id(ids)
        result.platform_received, result.duplicates = received["received"], received["duplicates"]

    @staticmethod
    def _count_row(row: Json, result: Result) -> None:
        result.sent += row["state"] in SENT
        result.bounced += bool(row.get("bounced"))
        for state in ("failed", "unknown", "cancelled"):
            setattr(result, state, getattr(result, state) + (row["state"] == state))

    async def _eventually(self, ask: Any, wanted: int) -> None:
        """Wait for a count; what is missing at the end is told by the result, not here."""

        async def enough() -> bool:
            return bool(await ask() >= wanted)

        try:
            await wait_for("", enough, PATIENCE_SECONDS)
        except Trouble:
            return

    def _say(self, step: str) -> None:
        self.console.print(f"[dim]{step}")
