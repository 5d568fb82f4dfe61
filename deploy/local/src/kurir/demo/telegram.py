"""The Telegram story: a login by code, contacts by phone number, one who blocks the account, one who is not on Telegram."""

from collections.abc import Sequence
from typing import Any, ClassVar

import httpx
from contracts.ids import platform_key
from practice.telegram.client import TelegramPractice
from rich.console import Console

from kurir.demo.chat import PACE, ChatStory
from kurir.demo.people import numbers
from kurir.demo.rest import Json, wait_for

ACTS = {"read": "read", "reply": "reply", "unsubscribe": "stop", "block": "block", "absent": "absent", "shop": None}
"""What our people do → how the practice Telegram calls it."""


class TelegramStory(ChatStory):
    """The practice Telegram knows people by how their numbers begin; the code of a login is fetched there."""

    channel, practice, never = "telegram", "telegram", ("block", "absent")
    reasons: ClassVar[dict[str, str]] = {"block": "blocked", "absent": "not_on_telegram"}

    def __init__(self, state: dict[str, Any], token: str, recipients: int, console: Console) -> None:
        super().__init__(state, token, recipients, console)
        self.telegram = TelegramPractice(self.place["api"])

    async def expect_people(self) -> None:
        """Tell the practice Telegram what people of which numbers do."""
        await self.telegram.set_rules(*({"pattern": f"{numbers(ours)}*", "acts": acts} for ours, acts in ACTS.items()))

    async def account(self, **fields: Any) -> str:
        """Connect an account by the code Telegram sends, and return its id once it is ready."""
        self.say("connecting the account")
        await self.telegram.put_user(self.shop, name="Toko Latihan")
        account = await self.create(**{"settings": {"client_id": self.shop}, "pace": PACE, **fields})
        asked = await self.session(account, "awaiting_code")
        self.say("answering with the code that Telegram sent")
        code = await wait_for("the code", self._code, 30)
        await self.answer(account, asked["challenge"], code)
        await self.session(account, "ready")
        return account

    async def _code(self) -> str | None:
        try:
            return await self.telegram.last_code(self.shop)
        except httpx.HTTPStatusError:
            return None

    async def total(self) -> int:
        """Return how many messages Telegram has taken from clients."""
        return int((await self.telegram.counts())["copies"])

    async def copies(self, address: str) -> int:
        """Return how many messages that number got."""
        return (await self.telegram.counts_by_phone()).get(address, 0)

    async def received(self, rows: Sequence[Json]) -> Json:
        """Return Telegram's own counts, by random_id."""
        return await self.telegram.counts_by_random_id([random_id(row) for row in rows])

    async def aclose(self) -> None:
        """Close the connection to the practice Telegram's API."""
        await self.telegram.aclose()


def random_id(row: Json, part: int = 0) -> int:
    """Return the random_id under which a row's bubble leaves: 64 bits, signed, of its platform key."""
    key = platform_key(row["id"], row["wanted"], part)
    return int.from_bytes(bytes.fromhex(key)[:8], "big", signed=True)
