"""The e-mail channel service."""

from channelkit.app import build_app
from servicekit.app import run as serve

from channel_email.channel import EmailChannel
from channel_email.settings import Settings

settings = Settings()
app = build_app(EmailChannel(settings), settings)


def run() -> None:
    """Serve until SIGTERM."""
    serve(lambda: app, settings)


if __name__ == "__main__":
    run()
