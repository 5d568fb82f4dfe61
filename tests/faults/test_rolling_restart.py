"""Everything is restarted in the ordinary way, one after another, under load: nothing is lost, nothing is unknown."""

import asyncio
import contextlib

import pytest
from kurir.demo.email import ADDRESS

from tests.support.load import begun


@contextlib.asynccontextmanager
async def mail_coming_in(kurir):
    """Let strangers write until the block ends; yields the list of what they wrote."""
    injected, stop = [], asyncio.Event()

    async def write():
        while not stop.is_set():
            number = len(injected)
            injected.append(number)
            await kurir.mail.inject(to=ADDRESS, sender=f"stranger-{number}@outside.test", text=f"Question {number}\n")
            await asyncio.sleep(0.3)

    task = asyncio.create_task(write())
    try:
        yield injected
    finally:
        stop.set()
        await task


@pytest.mark.full
async def test_a_rolling_restart_of_everything_loses_nothing(kurir):
    services = list(kurir.platform.endpoints.services)
    names = [*services, *[await kurir.replica(name) for name in services]]
    load = await begun(kurir, 1_200, per_second=25)
    async with mail_coming_in(kurir) as injected:
        for name in names:
            assert await kurir.restart(name) < 11, f"{name} took too long to stop"
        for name in ("nats", "store"):
            await kurir.restart(name)
            await kurir.ready()
        assert await kurir.received() < 1_200, "the restarts must fall into the campaign"
    await load.reconcile(inbound=len(injected))
