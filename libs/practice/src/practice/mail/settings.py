"""How one practice mail system is set up."""

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class MailSettings:
    """Ports (0 picks a free one), limits and manners of the practice mail system."""

    host: str = "127.0.0.1"
    smtp_port: int = 0
    smtps_port: int = 0
    imap_port: int = 0
    imaps_port: int = 0
    api_port: int = 0
    domain: str = "practice.test"
    #: AUTH without TLS is refused unless this is set.
    allow_plain_auth: bool = False
    #: Mail without AUTH is refused unless this is set.
    allow_no_auth: bool = False
    #: An unknown login with the password `secret` becomes an account.
    auto_accounts: bool = True
    reply_delay_seconds: float = 0.2
    size_limit_bytes: int = 35 * MEGABYTE
    #: How many messages keep their content; 0 only counts.
    keep_contents: int = 5_000
    keep_content_bytes: int = 256 * MEGABYTE
    #: Where cert.pem and key.pem are kept; empty makes new ones in a temporary folder.
    tls_folder: str = ""
