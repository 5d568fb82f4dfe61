"""`python -m practice.whatsapp`: runs until SIGTERM or Ctrl-C; prints one JSON line with its ports when ready."""

import argparse

from practice.serving import run
from practice.whatsapp.platform import WhatsAppPlatform
from practice.whatsapp.settings import WhatsAppSettings


def parse(argv: list[str] | None = None) -> WhatsAppSettings:
    """Return the settings of a command line."""
    default = WhatsAppSettings()
    parser = argparse.ArgumentParser(prog="python -m practice.whatsapp", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the page; 0 picks a free one")
    parser.add_argument("--api-port", type=int, default=0, help="0 picks a free one")
    for name in ("qr", "pairing", "deliver", "read", "reply"):
        field = f"{name}_seconds"
        parser.add_argument(f"--{name}-seconds", type=float, default=getattr(default, field), metavar="SECONDS")
    return WhatsAppSettings(**vars(parser.parse_args(argv)))


def main() -> None:
    """Run it."""
    run(WhatsAppPlatform(parse()))


if __name__ == "__main__":
    main()
