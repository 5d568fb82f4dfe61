"""The e-mail story: a mail server tested before it is saved, replies by mail, one-click unsubscribe, one bounce."""

from collections.abc import Sequence
from typing import Any, ClassVar

from contracts.ids import message_id
from practice.client import MailClient
from rich.console import Console

from kurir.demo.people import Person
from kurir.demo.rest import Json
from kurir.demo.story import Story
from kurir.home import Trouble

DOMAIN = "practice.test"
ADDRESS = f"toko@{DOMAIN}"
PASSWORD = "rehearsal"  # noqa: S105  # of a practice account


class EmailStory(Story):
    """Practice recipients act by the local part of their address."""

    channel, practice, never = "email", "mail", ("bounce",)
    words: ClassVar[Json] = {
        "subject": "{Hi|Halo} {{ name }}",
        "text": "Kopi Gayo sudah datang, {{ name }} di {{ city }}.",
        "html": "<p>Kopi Gayo sudah datang, <b>{{ name }}</b> di {{ city }}.</p>",
    }

    def __init__(self, state: dict[str, Any], token: str, recipients: int, console: Console) -> None:
        super().__init__(state, token, recipients, console)
        self.mail = MailClient(self.place["api"])

    def person(self, number: int, acts: str) -> Person:
        """Return a recipient; who unsubscribes does it with one click, and writes nothing."""
        local = f"{'person' if acts == 'read' else acts}-{self.run_number}{number:07d}"
        return Person(f"Pelanggan {number}", f"{local}@{DOMAIN}", acts, replies=acts == "reply")

    def expected(self) -> dict[str, int]:
        """Return the counts that are known beforehand."""
        return super().expected() | {"bounced": 1}

    async def account(self, **fields: Any) -> str:
        """Connect an account, tested first, and return its id once it is ready; *fields* go into the request."""
        self.say("connecting the account")
        await self.mail.put_account(ADDRESS, PASSWORD)
        server = {"host": "localhost", "security": "starttls", "username": ADDRESS}
        settings = {
            "preset": "custom",
            "smtp": server | {"port": self.place["smtp_port"], "from_address": ADDRESS, "from_name": "Toko Latihan"},
            "imap": server | {"port": self.place["imap_port"], "append_sent": True},
            "ca_file": self.place["ca_file"],
        }
        credentials = {"smtp_password": PASSWORD, "imap_password": PASSWORD}
        login = {"settings": settings, "credentials": credentials}
        tested = await self.rest.call("POST", "accounts", "/v1/channels/email/test", json=login)
        if not tested["ok"]:
            raise Trouble(f"[Test SMTP] failed: {tested}")
        account = await self.create(**{"pace": {"per_second": None, "connections": 8}, **login, **fields})
        await self.session(account, "ready")
        return account

    async def total(self) -> int:
        """Return how many messages the mail server has received."""
        return int((await self.mail.counts())["received"])

    async def copies(self, address: str) -> int:
        """Return how many messages the mail server took for that recipient."""
        return len(await self.mail.messages(to=address))

    async def refused(self, campaign: str) -> None:
        """Wait for the bounce."""
        self.say("waiting for the bounce")

        async def bounced() -> int:
            found = await self.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}")
            return int(found["counts"].get("bounced", 0))

        await self.eventually(bounced, 1)

    async def received(self, rows: Sequence[Json]) -> Json:
        """Return the mail server's own counts, by Message-ID."""
        ids = [message_id(row["id"], row["wanted"], DOMAIN) for row in rows]
        return await self.mail.counts_by_message_id(ids)

    async def aclose(self) -> None:
        """Close the connection to the practice mail server's API."""
        await self.mail.aclose()
