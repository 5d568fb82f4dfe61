"""`python -m practice.mail`: runs until SIGTERM or Ctrl-C; prints one JSON line with its ports when ready."""

import argparse
import logging

from practice.mail.platform import MailPlatform
from practice.mail.settings import MailSettings
from practice.serving import run

PORTS = ("smtp", "smtps", "imap", "imaps", "api")


def parse(argv: list[str] | None = None) -> MailSettings:
    """Return the settings of a command line."""
    parser = argparse.ArgumentParser(prog="python -m practice.mail", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    for name in PORTS:
        parser.add_argument(f"--{name}-port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--domain", default="practice.test")
    parser.add_argument("--allow-plain-auth", action="store_true", help="take passwords without TLS")
    parser.add_argument("--allow-no-auth", action="store_true", help="take mail without AUTH")
    parser.add_argument("--no-auto-accounts", dest="auto_accounts", action="store_false")
    parser.add_argument("--reply-delay", dest="reply_delay_seconds", type=float, default=0.2, metavar="SECONDS")
    parser.add_argument("--state-less", action="store_true", help="count messages without keeping their content")
    parser.add_argument("--tls-folder", default="", help="keep cert.pem and key.pem here")
    given = vars(parser.parse_args(argv))
    if given.pop("state_less"):
        given["keep_contents"] = 0
    return MailSettings(**given)


def main() -> None:
    """Run it."""
    # aiosmtpd warns of its own deprecations at every connection
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    run(MailPlatform(parse()))


if __name__ == "__main__":
    main()
