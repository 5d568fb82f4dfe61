"""What the page tells, as our own types. Shapes come from page_side.js, which is checked against wa-js's own types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SENT, DELIVERED, READ = 1, 2, 3
"""Acks of WhatsApp Web (`WPP.whatsapp.enums.ACK`): 0 waits in the page, 4 and more is a voice note played."""
FAILED = -1
"""This and below: the page gave the message up."""

Stage = Literal["ready", "loading", "qr", "blocked", "strange"]
_BLOCKED = {
    "TOS_BLOCK": "WhatsApp has blocked this account for breaking its terms",
    "SMB_TOS_BLOCK": "WhatsApp has blocked this business account for breaking its terms",
    "PROXYBLOCK": "WhatsApp refuses connections from this network",
    "DEPRECATED_VERSION": "WhatsApp no longer accepts this version of its page",
    "CONFLICT": "WhatsApp Web was opened elsewhere with this same session",
}
_NEUTRAL_MODES = {"", "SYNCING", "OFFLINE"}


@dataclass(frozen=True)
class State:
    """Where the page is."""

    authenticated: bool
    mode: str
    info: str
    me: str
    idle: bool = False
    """The QR code has rotated too often: it must be asked for again."""
    update: bool = False

    @property
    def stage(self) -> Stage:
        """Return what the state means. `isMainReady` is also true on the QR screen, so it is not asked."""
        if self.mode in _BLOCKED:
            return "blocked"
        if self.authenticated:
            return "ready" if self.mode == "MAIN" else "loading"
        if self.mode == "QR" or self.idle:
            return "qr"
        return "loading" if self.mode in _NEUTRAL_MODES else "strange"

    @property
    def online(self) -> bool:
        """Return whether the page is connected to WhatsApp."""
        return self.stage == "ready" and self.info in {"", "NORMAL"}

    @property
    def why_blocked(self) -> str:
        """Return the reason in words."""
        return _BLOCKED.get(self.mode, "")

    @property
    def identity(self) -> str:
        """Return the account's own number in E.164, or nothing."""
        user, _, server = self.me.partition("@")
        return f"+{user.split(':')[0]}" if server == "c.us" else ""


@dataclass(frozen=True)
class ChatMessage:
    """A message in a chat; `id` is the part of its key that both sides of the chat know."""

    id: str
    key: str
    from_me: bool
    chat: str
    chat_phone: str
    author: str
    author_phone: str
    name: str
    at: int
    kind: str
    body: str = ""
    caption: str = ""
    media: bool = False
    mimetype: str = ""
    filename: str = ""
    size: int = 0
    quoted: str = ""
    ack: int = 0
    place: tuple[float, float] | None = None
    card: str = ""
    ours: bool = False
    """This page was asked to send it."""
    notice: bool = False
    """Not a person's words: an encryption notice, a call, somebody who joined."""

    @property
    def text(self) -> str:
        """Return what the person wrote."""
        if self.place:
            return f"{self.caption}\n".lstrip("\n") + f"https://maps.google.com/?q={self.place[0]},{self.place[1]}"
        return self.body or self.caption


def message(told: Mapping[str, Any]) -> ChatMessage:
    """Return a message as page_side.js describes it."""
    place = told.get("place")
    return ChatMessage(
        id=told["id"], key=told["key"], from_me=told["fromMe"], chat=told["chat"], chat_phone=told["chatPhone"],
        author=told["author"], author_phone=told["authorPhone"], name=told["name"], at=int(told["at"]),
        kind=told["type"], body=told["body"], caption=told["caption"], media=told["media"], mimetype=told["mimetype"],
        filename=told["filename"], size=int(told["size"]), quoted=told["quoted"], ack=int(told["ack"]),
        place=(float(place[0]), float(place[1])) if place and None not in place else None, card=told["card"],
        ours=told["ours"], notice=told["notice"],
    )  # fmt: skip
