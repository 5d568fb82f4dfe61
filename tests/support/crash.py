"""Killing a process at a named point of a message's way, and reading the books once it is up again."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from contracts import subjects
from contracts.channels import Channel
from kurir.demo.people import csv
from kurir.demo.rest import wait_for
from kurir.demo.story import Story
from kurir.processes import Child

from tests.support.books import open_books
from tests.support.crash_cases import Case
from tests.support.live import Live, live

RECIPIENTS = 24
SLOW = {"per_second": 2, "connections": 1}
FAST = {"per_second": None, "connections": 1}
"""One connection: what is at the point is one message, and every other one has its end or is untouched.

SLOW: a queue that lasts longer than a process needs to die and be up again.
"""
_BRIEF_CHANNEL = {"SEND_TIMEOUT_SECONDS": "3", "HEARTBEAT_TTL_SECONDS": "4", "HEARTBEAT_EVERY_SECONDS": "1"}
_BRIEF = {
    "CAMPAIGNS_DISPATCH_LEASE_SECONDS": "3",
    "ACCOUNTS_DELETION_SECONDS": "1",
}
"""How long heirs wait for the dead, cut short: the order of things stays the same."""
DIES_SECONDS, QUIET_SECONDS = 30, 90


@contextlib.asynccontextmanager
async def ground(folder: Path, channel: Channel = Channel.EMAIL) -> AsyncIterator[Live]:
    """Start a platform on which dying is quickly noticed."""
    brief = _BRIEF | {f"CHANNEL_{channel.name}_{name}": value for name, value in _BRIEF_CHANNEL.items()}
    with pytest.MonkeyPatch.context() as patched:
        for name, value in brief.items():
            patched.setenv(name, value)
        async with live(folder, channel) as kurir:
            yield kurir


@contextlib.asynccontextmanager
async def dying(kurir: Live, case: Case) -> AsyncIterator[None]:
    """Arm the point; after the block, see the process killed there and start it again unarmed.

    Where the action is not `kill`, the process lives on and is only disarmed.
    """
    await kurir.change(case.service, KURIR_FAILPOINTS=case.setting)
    child = kurir.child(case.service)
    try:
        yield
        if case.action == "kill":
            async with asyncio.timeout(DIES_SECONDS):
                assert await child.process.wait() == -signal.SIGKILL, child.tail(5)
        await wait_for(f"{case.point} to be reached", lambda: _reached(child, case), DIES_SECONDS)
    finally:
        child.env = {**child.env, "KURIR_FAILPOINTS": ""}
        if child.pid is None:
            await _redeliver(kurir)
            await kurir.start(case.service)
    await kurir.ready(case.service)


async def _redeliver(kurir: Live) -> None:
    """Let the events a dead campaigns had pulled come again now, not after 30 s: its start sets the time back."""
    js = (connection := await kurir.bus()).jetstream()
    try:
        config = (await js.consumer_info("INBOX", "campaigns")).config
        config.ack_wait = 1.0
        await js.add_consumer("INBOX", config=config)
        await asyncio.sleep(1.2)
    finally:
        await connection.close()


async def _reached(child: Child, case: Case) -> bool:
    said = [line for line in child.tail(200).splitlines() if '"failpoint' in line]
    return bool(said) and '"failpoint reached"' in said[-1] and f'"{case.point}"' in said[-1]


async def account(kurir: Live, pace: dict[str, Any]) -> str:
    """Connect an account of the case's own with that pace; the last case's sleeps."""
    async for old in kurir.rest.items("accounts", "/v1/accounts", limit=100):
        if old["active"]:
            await kurir.rest.call("POST", "accounts", f"/v1/accounts/{old['id']}/deactivate")
    return await kurir.tell(1).account(pace=pace)


async def hasten(kurir: Live, account_id: str) -> None:
    """Let the account send what is left without a pace."""
    version = (await kurir.rest.call("GET", "accounts", f"/v1/accounts/{account_id}"))["version"]
    wanted = {"pace": FAST, "version": version}
    await kurir.rest.call("PATCH", "accounts", f"/v1/accounts/{account_id}", json=wanted)


async def draft(
    kurir: Live, account_id: str, recipients: int = RECIPIENTS, *, lively: bool = False, **fields: Any
) -> tuple[Story, str]:
    """Return a new campaign that is not processed yet, with its story.

    Its recipients only read, unless *lively*: an answer would stop the very message whose sender has just died.
    """
    story: Story = kurir.tell(recipients)
    await story.expect_people()
    readers = csv(story.person(number, "read") for number in range(recipients))
    contacts = await story.contacts(None if lively else b"".join(readers))
    return story, await story.draft(account_id, contacts, **fields)


async def press(kurir: Live, path: str, method: str = "POST", service: str = "campaigns") -> None:
    """Ask for something whose answer the process may not live to give."""
    with contextlib.suppress(httpx.TransportError):
        await kurir.rest.call(method, service, path)


async def process(kurir: Live, campaign: str) -> None:
    """Have a draft processed."""
    if (await kurir.rest.call("GET", "campaigns", f"/v1/campaigns/{campaign}"))["status"] == "draft":
        await press(kurir, f"/v1/campaigns/{campaign}/process")


async def quiet(kurir: Live) -> None:
    """Wait until no command is left and every event is acknowledged: whatever could still be repeated has been."""

    async def is_quiet() -> bool:
        js = (connection := await kurir.bus()).jetstream()
        try:
            left = (await js.stream_info(subjects.commands_stream(kurir.channel))).state.messages
            reader = await js.consumer_info("INBOX", "campaigns")
        finally:
            await connection.close()
        return not (left or reader.num_pending or reader.num_ack_pending)

    await wait_for("the bus to be quiet", is_quiet, QUIET_SECONDS)


async def reconciled(kurir: Live, case: Case, campaign: str) -> str:
    """Return what the table says of the message at the point, after every book was found to agree."""
    await quiet(kurir)
    books = await open_books(kurir, campaign)
    assert not (found := books.troubles()), found
    states = books.states()
    assert set(states) <= {case.state, *case.others}, states
    assert states["unknown"] <= 1, states  # no more than was out on the one connection
    rows = [books.first()] if case.passing_is_row else books.of(case.state)
    assert {books.rows[row]["state"] for row in rows} == {case.state}, states
    return told(case, [books.copies[row] for row in rows])


def told(case: Case, deliveries: Sequence[int]) -> str:
    """Return `<deliveries> <state>` where each was delivered as often as promised."""
    assert set(deliveries) == {case.deliveries}, deliveries
    return f"{case.deliveries} {case.state}"


def chosen(cases: Sequence[Case]) -> list[Any]:
    """Return the cases as parameters of a test."""
    return [pytest.param(case, id=case.name) for case in cases]
