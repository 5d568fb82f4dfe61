"""The WhatsApp story: a real browser shows a QR code, the practice phone scans it; one number is not on WhatsApp."""

from collections.abc import Sequence
from typing import Any, ClassVar

from channel_whatsapp.parts import message_id
from contracts.ids import platform_key
from practice.whatsapp.client import WhatsAppPractice
from rich.console import Console

from kurir.demo.chat import PACE, ChatStory
from kurir.demo.rest import Json
from kurir.home import Trouble

ACTS = {"read": "read", "reply": "reply", "unsubscribe": "stop", "absent": "off"}
"""What our people do → how the practice WhatsApp calls it."""


class WhatsAppStory(ChatStory):
    """The practice WhatsApp is a page; its phone links whoever shows a QR text."""

    channel, practice, never = "whatsapp", "whatsapp", ("absent",)
    reasons: ClassVar[dict[str, str]] = {"absent": "not_on_whatsapp"}

    def __init__(self, state: dict[str, Any], token: str, recipients: int, console: Console) -> None:
        super().__init__(state, token, recipients, console)
        self.whatsapp = WhatsAppPractice(self.place["api"])

    async def expect_people(self) -> None:
        """Tell the practice WhatsApp who there is."""
        people = [
            {"phone": p.address, "name": p.name, "acts": ACTS[p.acts], "exists": p.acts != "absent"}
            for p in self.people()
        ]
        await self.whatsapp.put_numbers(people)

    async def account(self, **fields: Any) -> str:
        """Connect an account by scanning its QR code with the practice phone, and return its id once it is ready."""
        self.say("connecting the account")
        if lacking := self.state["lacking"].get(f"channel-{self.channel}"):
            raise Trouble(f"channel-{self.channel} lacks {lacking}")
        await self.whatsapp.put_number(self.shop, name="Toko Latihan")
        account = await self.create(**{"pace": PACE, **fields})
        await self.session(account, "awaiting_qr")
        self.say("scanning the QR code with the practice phone")
        await self.whatsapp.scan(await self._qr_text(account), self.shop)
        await self.session(account, "ready")
        return account

    async def _qr_text(self, account: str) -> str:
        """Return what the QR code says; people see it as a picture at the same address."""
        path = f"{self.state['services']['accounts']}/v1/accounts/{account}/challenge/picture"
        found = await self.rest.http.get(path, headers={"Accept": "text/plain"})
        if found.is_error:
            raise Trouble(f"the QR code cannot be seen: {found.status_code} {found.text[:300]}")
        return found.text

    async def total(self) -> int:
        """Return how many messages WhatsApp has taken."""
        return int((await self.whatsapp.counts())["received"])

    async def copies(self, address: str) -> int:
        """Return how many messages that number got."""
        return len(await self.whatsapp.messages(to=address, sender=self.shop))

    async def received(self, rows: Sequence[Json]) -> Json:
        """Return WhatsApp's own counts, by message id."""
        ids = [message_id(platform_key(row["id"], row["wanted"])) for row in rows]
        return await self.whatsapp.counts_by_message_id(ids)

    async def aclose(self) -> None:
        """Close the connection to the practice WhatsApp's API."""
        await self.whatsapp.aclose()
