"""The e-mail channel service."""

from channelkit.app import build_app
from fastapi import FastAPI
from servicekit.app import run as serve

from channel_email.channel import EmailChannel
from channel_email.settings import Settings


def build(settings: Settings | None = None) -> FastAPI:
    """Return the application. Raises SealError without a sealing key."""
    settings = settings or Settings()
    return build_app(EmailChannel(settings), settings)


def run() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment()
    serve(lambda: build(settings), settings)


if __name__ == "__main__":
    run()
