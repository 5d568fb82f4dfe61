"""Who a campaign goes to: contacts of its lists and tags, then the lines of its file, each once per address."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from campaigns.campaign import files
from campaigns.campaign.store import Campaign
from campaigns.contacts import domain as contacts
from campaigns.contacts.audience import audience
from campaigns.contacts.importing import mapping, upload
from campaigns.contacts.importing.table import Row
from campaigns.context import Context

LINES_AT_ONCE = 1_000


@dataclass(frozen=True)
class Recipient:
    """One entry of an audience: who, and what templates may name of them (blank values are left out)."""

    address: str
    name: str
    vars: dict[str, str]
    contact: str | None = None


@dataclass(frozen=True)
class Part:
    """Some entries, and where to go on behind them: the phase and its cursor."""

    members: list[Recipient]
    phase: str
    cursor: int
    problems: list[dict[str, Any]] = field(default_factory=list)


async def parts(ctx: Context, campaign: Campaign, phase: str = "contacts", cursor: int = 0) -> AsyncIterator[Part]:
    """Yield the audience in a stable order, from *cursor* in *phase* (`contacts`, then `file`) on."""
    if phase == "contacts":
        lists, tags = campaign.get("lists") or [], campaign.get("audience_tags") or []
        if lists or tags:
            async for batch in audience(ctx, lists, tags, campaign["channel"], cursor):
                members = [Recipient(m.address, m.name, _filled(m.vars), m.contact) for m in batch.members]
                yield Part(members, "contacts", batch.cursor)
        cursor = 0
    if campaign.get("file"):
        async for part in _lines(ctx, campaign, cursor):
            yield part


async def _lines(ctx: Context, campaign: Campaign, cursor: int) -> AsyncIterator[Part]:
    async with upload.fetched(ctx, campaign["file"]["pieces"]) as stored:
        table = await asyncio.to_thread(files.read, stored, campaign["file"])
        rows, columns = table.rows(cursor), campaign["file"]["mapping"]
        while lines := await asyncio.to_thread(_some, rows):
            yield _part(ctx, campaign["channel"], lines, columns)


def _some(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, LINES_AT_ONCE))


def _part(ctx: Context, channel: str, lines: list[Row], columns: dict[str, str]) -> Part:
    members: list[Recipient] = []
    problems: list[dict[str, Any]] = []
    for line in lines:
        parsed = mapping.parse(line, columns, ctx.settings.default_region)
        person = contacts.merged({}, parsed.fields)
        address = None if parsed.rejected else contacts.address_for(person, channel)
        if address:
            name = str(person.get("name") or "")
            members.append(Recipient(address, name, _filled(contacts.variables(person))))
        else:
            rejected = [p for p in parsed.problems if p.kind == "rejected"]
            why = rejected[0] if rejected else None
            problems.append(
                {
                    "line": line.line,
                    "field": why.field if why else "",
                    "reason": why.reason if why else "has no address",
                }
            )
    return Part(members, "file", lines[-1].line, problems)


def _filled(variables: dict[str, str]) -> dict[str, str]:
    """Leave blanks out: an empty cell is a missing variable."""
    return {name: value for name, value in variables.items() if value.strip()}
