"""`python -m practice.whatsapp`: runs until SIGTERM or Ctrl-C; prints one JSON line with its ports when ready."""

import argparse
import asyncio
import importlib.util
import json
import logging
import signal
import sys

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


async def serve(settings: WhatsAppSettings) -> None:
    """Run until a signal asks to stop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with WhatsAppPlatform(settings) as platform:
        sys.stdout.write(json.dumps(platform.ports.as_dict()) + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Run on uvloop where it is installed."""
    logging.basicConfig(level=logging.WARNING)
    uvloop = importlib.import_module("uvloop") if importlib.util.find_spec("uvloop") else asyncio
    uvloop.run(serve(parse()))


if __name__ == "__main__":
    main()
