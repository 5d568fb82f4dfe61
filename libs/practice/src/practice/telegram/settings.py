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


@dataclass(slots=True)
class Switches:
    """Manners that a test may change while the server runs."""

    #: Off: a repeat of a random_id is delivered again, as it must never be; proves that the counts see copies.
    deduplicate: bool = True
    #: On: a second connection with the same key ends the login with AUTH_KEY_DUPLICATED.
    one_connection_per_key: bool = False
    #: The DC where uploaded files are kept from now on; 0: the uploader's own.
    files_dc: int = 0
    #: On: a number without an account answers signIn with PHONE_NUMBER_UNOCCUPIED, as old layers do.
    unoccupied_is_error: bool = False
    #: On: a code also comes as a message from Telegram itself (777000) to a person signed in elsewhere, as it really does.
    code_in_chat: bool = False
