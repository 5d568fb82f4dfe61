"""Linked pages: how they are linked, what is queued for them, and the line each listens on."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

Event = dict[str, Any]


class Line:
    """One open page's event stream; `connection` is the port of its end and of ours."""

    def __init__(self, page: str, connection: tuple[int, int]) -> None:
        self.page, self.connection = page, connection
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def put(self, event: Event) -> None:
        """Tell the page something, once, if it still listens."""
        self._queue.put_nowait(event)

    def close(self) -> None:
        """End the stream after what was told."""
        self._queue.put_nowait(None)

    async def events(self, idle_seconds: float) -> AsyncIterator[Event]:
        """Yield what is told until the line is closed; an empty event after so long without one."""
        while True:
            try:
                event = await asyncio.wait_for(self._queue.get(), idle_seconds)
            except TimeoutError:
                event = {}
            if event is None:
                return
            yield event


@dataclass(slots=True)
class Device:
    """A page linked to a phone. Its events are kept until it says that it has dealt with them."""

    token: str
    phone: str
    line: Line | None = None
    pending: deque[Event] = field(default_factory=deque)
    number: int = 0

    def tell(self, event: Event) -> None:
        """Queue an event, and pass it on at once where the page is open."""
        self.number += 1
        numbered = {"number": self.number, **event}
        self.pending.append(numbered)
        if self.line:
            self.line.put(numbered)

    def seen(self, number: int) -> None:
        """Forget events up to this number."""
        while self.pending and self.pending[0]["number"] <= number:
            self.pending.popleft()

    def attach(self, line: Line) -> None:
        """Let a page listen: the newest one wins, another one is told of the conflict."""
        if self.line and self.line.page != line.page:
            self.line.put({"kind": "screen", "name": "conflict"})
            self.line.close()
        self.line = line
        line.put({"kind": "hello"})
        for event in self.pending:
            line.put(event)

    def detach(self, line: Line) -> None:
        """Note that a page no longer listens."""
        if self.line is line:
            self.line = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A page's offer to be linked: a QR text's `ref`, or a pairing code for one phone."""

    page: str
    keys: tuple[str, ...]
    until: float
    phone: str = ""


class Devices:
    """All linked devices, open offers, and pages that are not linked yet."""

    def __init__(self) -> None:
        self.by_token: dict[str, Device] = {}
        self.ended: dict[str, str] = {}
        self.pages: dict[str, Line] = {}
        self._refs: dict[str, Offer] = {}
        self._codes: dict[str, Offer] = {}

    def of(self, phone: str) -> list[Device]:
        """Return the devices of a phone."""
        return [device for device in self.by_token.values() if device.phone == phone]

    def offer_ref(self, page: str, keys: list[str], seconds: float) -> str:
        """Return a new ref; the page's former one can no longer be scanned."""
        self._refs = {ref: one for ref, one in self._refs.items() if one.page != page}
        ref = f"2@{secrets.token_urlsafe(48)}"
        self._refs[ref] = Offer(page, tuple(keys), monotonic() + seconds)
        return ref

    def offer_code(self, page: str, keys: list[str], phone: str, seconds: float) -> str:
        """Return a new pairing code, of eight letters and digits, for this phone."""
        code = "".join(secrets.choice("123456789ABCDEFGHJKLMNPQRSTVWXYZ") for _ in range(8))
        self._codes[code] = Offer(page, tuple(keys), monotonic() + seconds, phone)
        return code

    def scanned(self, qr_text: str) -> Offer:
        """Return the offer behind a QR text. Raises LookupError when unknown, expired or forged."""
        ref, *keys = qr_text.split(",")
        offer = self._refs.get(ref)
        if offer is None or tuple(keys) != offer.keys:
            raise LookupError("this QR text is unknown or was replaced")
        return self._living(self._refs, ref)

    def entered(self, code: str, phone: str) -> Offer:
        """Return the offer behind a pairing code. Raises LookupError when unknown, expired or for another phone."""
        offer = self._codes.get(code.replace("-", "").upper())
        if offer is None or offer.phone != phone:
            raise LookupError("this code is unknown or for another phone")
        return self._living(self._codes, code.replace("-", "").upper())

    def link(self, phone: str) -> Device:
        """Return a new device of a phone."""
        device = Device(secrets.token_urlsafe(24), phone)
        self.by_token[device.token] = device
        return device

    def end(self, device: Device, reason: str, *, tell: bool = True) -> None:
        """End a device's login; its page is told why, now or when it next comes."""
        self.by_token.pop(device.token, None)
        self.ended[device.token] = reason
        if device.line and tell:
            device.line.put({"kind": "logout", "reason": reason})

    @staticmethod
    def _living(offers: dict[str, Offer], key: str) -> Offer:
        offer = offers.pop(key)
        if offer.until < monotonic():
            raise LookupError("expired")
        return offer
