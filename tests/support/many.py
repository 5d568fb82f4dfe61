"""Many accounts that send one campaign together, and when each message reached the mail server."""

import asyncio
import time
from typing import Any

from kurir.demo.email import DOMAIN, PASSWORD, EmailStory

from tests.support.live import Live

MOST_RECORDS = 10_000


def address(number: int) -> str:
    """Return the address of one of the accounts."""
    return f"shop-{number}@{DOMAIN}"


async def connect(kurir: Live, story: EmailStory, count: int, per_second: float) -> list[str]:
    """Connect so many accounts, which only send, and return their ids."""
    return list(await asyncio.gather(*(connect_one(kurir, story, n, per_second) for n in range(count))))


async def connect_one(kurir: Live, story: EmailStory, number: int, per_second: float) -> str:
    """Connect one of them."""
    await kurir.mail.put_account(address(number), PASSWORD)
    practice = kurir.platform.state()["practice_platforms"]["mail"]
    smtp = {
        "host": "localhost", "port": practice["smtp_port"], "security": "starttls", "username": address(number),
        "from_address": address(number), "from_name": "Toko Latihan",
    }  # fmt: skip
    settings = {"preset": "custom", "smtp": smtp, "imap": None, "ca_file": practice["ca_file"]}
    pace = {"per_second": per_second, "connections": 2}
    return await story.account(
        name=address(number), settings=settings, credentials={"smtp_password": PASSWORD}, pace=pace
    )


async def process(story: EmailStory, accounts: list[str], contacts: str) -> tuple[str, float]:
    """Process a campaign of all the accounts; return its id and when that was, in seconds since 1970."""
    pressed = time.time()
    return await story.campaign(accounts[0], contacts, accounts=accounts), pressed


async def arrivals(kurir: Live, pressed: float) -> dict[str, list[float]]:
    """Return account's address → seconds from Process until each of its messages was received."""
    found: dict[str, list[float]] = {}
    records: list[dict[str, Any]] = await kurir.mail.messages(limit=MOST_RECORDS)
    for record in records:
        if record["at"] >= pressed:
            found.setdefault(record["mail_from"], []).append(record["at"] - pressed)
    return found


async def rows_of(story: EmailStory, campaign: str) -> dict[str, list[str]]:
    """Return account → states of its rows."""
    found: dict[str, list[str]] = {}
    async for row in story.rest.items("campaigns", "/v1/outbox", campaign=campaign, limit=1000):
        found.setdefault(row["account"], []).append(row["state"])
    return found
