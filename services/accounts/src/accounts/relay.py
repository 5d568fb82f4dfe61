"""Publishes the events stored with the accounts, in order, until the bus has acknowledged each."""

import asyncio

from servicekit.bus import Bus

from accounts.events import message
from accounts.ports import AccountStore, Behind
from accounts.waking import repeat

PAGE = 200


class Relay:
    """A crash between publishing and forgetting publishes twice under one id: receivers see one event."""

    def __init__(self, bus: Bus, store: AccountStore) -> None:
        """Publish what *store* holds."""
        self._bus, self._store = bus, store
        self.wake = asyncio.Event()

    async def run(self, every_seconds: float) -> None:
        """Relay until cancelled."""
        await repeat(self.catch_up, self.wake, every_seconds, "events")

    async def catch_up(self) -> None:
        """Publish everything that waits. Raises Unavailable where NATS or the store is away."""
        self._bus.require()
        for waiting in await self._store.unsent(PAGE):
            await self._send(waiting)

    async def _send(self, waiting: Behind) -> None:
        for event in waiting.events:
            await self._bus.publish(event.subject, message(event), msg_id=event.id)
            await self._store.drop_event(waiting.place, waiting.account_id, event.id)
