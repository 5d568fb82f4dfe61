"""The Telegram channel service."""

from channelkit.app import build_app
from fastapi import FastAPI
from servicekit.app import run as serve

from channel_telegram.channel import TelegramChannel
from channel_telegram.settings import Settings


def build(settings: Settings | None = None) -> FastAPI:
    """Return the application. Raises SealError without a sealing key, ValueError for settings that do not fit."""
    settings = settings or Settings()
    return build_app(TelegramChannel(settings), settings)


def run() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment()
    serve(lambda: build(settings), settings)


if __name__ == "__main__":
    run()
