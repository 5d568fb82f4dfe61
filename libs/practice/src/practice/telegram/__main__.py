"""`python -m practice.telegram`: runs until SIGTERM or Ctrl-C; prints one JSON line with its ports when ready."""

import argparse

from practice.serving import run
from practice.telegram.platform import TelegramPlatform
from practice.telegram.settings import TelegramSettings


def parse(argv: list[str] | None = None) -> TelegramSettings:
    """Return the settings of a command line."""
    parser = argparse.ArgumentParser(prog="python -m practice.telegram", description=__doc__)
    for name, what in (("port", "DC 2"), ("other-port", "DC 4"), ("api-port", "the API")):
        parser.add_argument(f"--{name}", type=int, default=0, help=f"of {what}; 0 picks a free one")
    parser.add_argument("--key-file", default="", help="write the public key here (PEM); the private one beside it")
    parser.add_argument("--state-file", default="", help="remember everything here, over restarts and kills")
    parser.add_argument("--api-id", type=int, default=0, help="refuse other applications; 0 takes any")
    parser.add_argument("--api-hash", default="")
    parser.add_argument("--resend", dest="resend_seconds", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--code-lifetime", dest="code_lifetime_seconds", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--reply-delay", dest="reply_delay_seconds", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument("--difference-limit", type=int, default=100, metavar="EVENTS")
    return TelegramSettings(**vars(parser.parse_args(argv)))


def main() -> None:
    """Run it."""
    run(TelegramPlatform(parse()))


if __name__ == "__main__":
    main()
