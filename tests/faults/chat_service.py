"""A chat channel as a process, its platform's memory a file that outlives it: `chat_service.py PORT NATS_URL KEY FILE [copies]`.

With `copies` the platform takes every message; without, it recognises one it has taken.
"""

import sys
from pathlib import Path

from channelkit.app import build_app
from channelkit.fake import FakeChannel, FakePlatform
from channelkit.settings import ChannelSettings
from servicekit.app import run


class ChatPlatform(FakePlatform):
    """Writes down each bubble it takes, a line of key and text."""

    def __init__(self, book: Path, *, deduplicates: bool) -> None:
        """*book*: read anew at each message, as a platform of many processes would."""
        super().__init__(deduplicates=deduplicates)
        self.book = book

    async def take(self, key: str, address: str, text: str) -> str:
        """Take a message in unless it is known and recognised."""
        known = self.book.read_text("utf-8") if self.book.exists() else ""
        if not (self.deduplicates and key in known):
            self.book.write_text(f"{known}{key} {address} {text}\n", "utf-8")
        return f"chat-{key[:12]}"


def main() -> None:
    port, nats_url, key, book, *copies = sys.argv[1:]
    settings = ChannelSettings(
        service="channel-telegram", host="127.0.0.1", port=int(port), nats_url=nats_url, sealing_keys=key,
        address_hmac_keys="one,two", practice=True, heartbeat_ttl_seconds=3, heartbeat_every_seconds=0.7,
        report_seconds=0.2,
    )  # fmt: skip
    channel = FakeChannel(ChatPlatform(Path(book), deduplicates=not copies))
    run(lambda: build_app(channel, settings), settings)


if __name__ == "__main__":
    main()
