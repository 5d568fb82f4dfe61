"""What lies outside Kurir, as tests ask for it on any channel: what truly arrived, and what people write to an account."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

from channel_whatsapp.parts import message_id
from contracts.ids import parse_message_id, platform_key
from kurir.demo.email import EmailStory
from kurir.demo.people import phone
from kurir.demo.story import Story
from kurir.demo.telegram import TelegramStory, random_id
from kurir.demo.whatsapp import WhatsAppStory

Json = dict[str, Any]
Copies = tuple[Counter[str], Counter[str]]
_MOST_RECORDS = 10_000


class Outside(Protocol):
    """One practice platform."""

    parts: int
    """Of how many bubbles each message is."""

    async def copies(self, rows: Mapping[str, Json]) -> Copies:
        """Return how often each row arrived by its key, and how often each recipient got anything."""

    async def lying(self, account: Json, skip: int = 0) -> Counter[str]:
        """Return platform id → copies of what people wrote to the account, the first *skip* left out."""

    async def write(self, account: Json, count: int) -> None:
        """Let strangers write so many messages to the account, at once."""

    async def waiting(self) -> int:
        """Return how many recipients are still about to answer."""

    async def refuse_one(self) -> None:
        """Refuse the next message for good."""


def outside(story: Story) -> Outside:
    """Return the practice platform of a story's channel."""
    return _OUTSIDE[type(story)](story)


class Mail:
    """The practice mail server: a row is known by its Message-ID."""

    parts = 1

    def __init__(self, story: EmailStory) -> None:
        self.mail = story.mail

    async def copies(self, rows: Mapping[str, Json]) -> Copies:
        """Count the server's records."""
        records = await self.mail.messages(limit=_MOST_RECORDS)
        assert len(records) < _MOST_RECORDS, "more mail than the book holds"
        people, keys, arrived = (
            {row["to"]["address"].casefold() for row in rows.values()},
            Counter[str](),
            Counter[str](),
        )
        for record in records:
            for address in set(record["rcpt_to"]) & people:
                arrived[address] += 1
                if found := parse_message_id(record["message_id"]):
                    keys[found[0]] += 1
        return keys, arrived

    async def lying(self, account: Json, skip: int = 0) -> Counter[str]:
        """Count by Message-ID, delivery reports left out."""
        found = (await self.mail.mailbox(account["settings"]["smtp"]["from_address"]))[skip:]
        lying = [{name.lower(): value for name, value in mail["headers"]} for mail in found]
        return Counter(h["message-id"].strip() for h in lying if "report" not in h.get("content-type", ""))

    async def write(self, account: Json, count: int) -> None:
        """Put mail into the account's mailbox."""
        to = account["settings"]["smtp"]["from_address"]
        await asyncio.gather(*(self.mail.inject(to, sender=f"n{n}@elsewhere.test") for n in range(count)))

    async def waiting(self) -> int:
        """Count reactions."""
        return int((await self.mail.counts())["reactions_waiting"])

    async def refuse_one(self) -> None:
        """Refuse the next recipient."""
        await self.mail.set_faults(refuse_5xx={"at": "rcpt", "times": 1})


class Telegram:
    """The practice Telegram: a row is known by its random_id."""

    parts = 1

    def __init__(self, story: TelegramStory) -> None:
        self.telegram = story.telegram
        self.writers = 0

    async def copies(self, rows: Mapping[str, Json]) -> Copies:
        """Count what Telegram took from clients; a row is there as often as any of its bubbles, half of it is no whole."""
        ids, phones = await self.telegram.random_ids(), await self.telegram.counts_by_phone()
        keys = Counter(
            {name: max(ids.get(random_id(row, n), 0) for n in range(self.parts)) for name, row in rows.items()}
        )
        people = {row["to"]["address"] for row in rows.values()}
        return keys, Counter({one: count / self.parts for one, count in phones.items() if one in people})

    async def lying(self, account: Json, skip: int = 0) -> Counter[str]:
        """Count by the number a message has in the account's own box."""
        found = await self.telegram.messages(to=account["settings"]["client_id"], limit=_MOST_RECORDS)
        return Counter(str(message["to_id"]) for message in found[::-1][skip:])

    async def write(self, account: Json, count: int) -> None:
        """Let people write, each from a number of its own."""
        to, self.writers = account["settings"]["client_id"], self.writers + count
        people = [phone("read", 99_999, number) for number in range(self.writers - count, self.writers)]
        await self.telegram.put_people(*people)
        for one in people:
            await self.telegram.write(one, to, "Ada stok?")

    async def waiting(self) -> int:
        """Count what people are about to do."""
        return int((await self.telegram.counts())["acts_waiting"])

    async def refuse_one(self) -> None:
        """Let the next recipient have blocked the account."""
        await self.telegram.set_faults(refuse={"error": "USER_IS_BLOCKED", "method": "messages.send*", "times": 1})


class WhatsApp:
    """The practice WhatsApp: a row is known by its message id."""

    parts = 1

    def __init__(self, story: WhatsAppStory) -> None:
        self.whatsapp = story.whatsapp
        self.writers = 0

    async def copies(self, rows: Mapping[str, Json]) -> Copies:
        """Count what WhatsApp took from pages; a row is there as often as any of its bubbles, half of it is no whole."""
        ids = {n: [message_id(platform_key(n, row["wanted"], p)) for p in range(self.parts)] for n, row in rows.items()}
        counts = (await self.whatsapp.counts_by_message_id([one for many in ids.values() for one in many]))["counts"]
        people = {row["to"]["address"] for row in rows.values()}
        found = await self.whatsapp.messages(limit=_MOST_RECORDS)
        assert len(found) < _MOST_RECORDS, "more messages than the book holds"
        arrived = Counter(message["to"] for message in found if message["to"] in people)
        keys = Counter({name: max(counts[one] for one in many) for name, many in ids.items()})
        return keys, Counter({one: count / self.parts for one, count in arrived.items()})

    async def lying(self, account: Json, skip: int = 0) -> Counter[str]:  # noqa: ARG002  # found by its page
        """Count by message id."""
        found = await self.whatsapp.messages(to=await self._phone(), limit=_MOST_RECORDS)
        return Counter(message["id"] for message in found[::-1][skip:])

    async def write(self, account: Json, count: int) -> None:  # noqa: ARG002
        """Let people write, each from a number of its own."""
        to, self.writers = await self._phone(), self.writers + count
        people = [phone("read", 99_999, number) for number in range(self.writers - count, self.writers)]
        await self.whatsapp.put_numbers([{"phone": one} for one in people])
        for one in people:
            await self.whatsapp.write(one, to, "Ada stok?")

    async def waiting(self) -> int:
        """Count what people are about to do."""
        return int((await self.whatsapp.counts())["acts_waiting"])

    async def refuse_one(self) -> None:
        """Refuse the next message."""
        await self.whatsapp.set_faults(refuse_send={"times": 1})

    async def _phone(self) -> str:
        """Return the number of the one account that is linked: its settings do not say."""
        (device,) = await self.whatsapp.devices()
        return str(device["phone"])


_OUTSIDE: dict[type[Story], Any] = {EmailStory: Mail, TelegramStory: Telegram, WhatsAppStory: WhatsApp}
