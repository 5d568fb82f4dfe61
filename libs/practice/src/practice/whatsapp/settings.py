"""How one practice WhatsApp is set up."""

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class WhatsAppSettings:
    """Ports (0 picks a free one) and manners of the practice WhatsApp; it listens on this machine alone."""

    port: int = 0
    api_port: int = 0
    #: How long a QR text can be scanned; the page shows six in a row, then waits for `refreshQR`.
    qr_seconds: float = 20
    pairing_seconds: float = 180
    #: From a person's phone having a message to its answer.
    deliver_seconds: float = 0.05
    read_seconds: float = 0.2
    reply_seconds: float = 0.5
    #: How many messages a newly linked page is told of.
    history: int = 200
    keep_media_bytes: int = 256 * MEGABYTE

    host: str = "127.0.0.1"
