"""How one practice Telegram is set up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """Ports (0 picks a free one), files and manners of the practice Telegram; it listens on 127.0.0.1 alone."""

    #: DC 2, where clients begin, and DC 4, where people with `home_dc=4` and some files live.
    port: int = 0
    other_port: int = 0
    api_port: int = 0
    #: Where the public RSA key is written (PEM, PKCS#1); the private one lies beside it. Empty: a new key each time.
    key_file: str = ""
    #: Where everything is remembered (an append-only log); empty forgets everything with the process.
    state_file: str = ""
    #: Zero and empty take any application; else another answers API_ID_INVALID.
    api_id: int = 0
    api_hash: str = ""
    resend_seconds: int = 60
    code_lifetime_seconds: float = 300
    reply_delay_seconds: float = 0.2
    #: How many events one updates.getDifference returns; more come in slices.
    difference_limit: int = 100
