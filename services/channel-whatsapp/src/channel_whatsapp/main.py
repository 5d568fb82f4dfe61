"""The WhatsApp channel service."""

from channelkit.app import build_app
from fastapi import FastAPI
from servicekit.app import run as serve

from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.settings import Settings


def build(settings: Settings | None = None) -> FastAPI:
    """Return the application. Raises SealError without a sealing key.

    Without a browser or wa-js it runs, and says in its health what is missing: accounts can wait for them.
    """
    settings = settings or Settings()
    driver = WhatsAppChannel(settings)
    app = build_app(driver, settings)
    app.state.health.add("browser", driver.look_for_browser, needed=False)
    app.state.health.add("wa-js", driver.look_for_bundle, needed=False)
    return app


def run() -> None:
    """Serve until SIGTERM."""
    settings = Settings.from_environment()
    serve(lambda: build(settings), settings)


if __name__ == "__main__":
    run()
