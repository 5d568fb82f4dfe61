"""Sealing of secrets, hashing of addresses, signing of unsubscribe links. Every first key is used, all are known."""

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from servicekit.errors import KurirError
from servicekit.settings import ServiceSettings, split


class SealError(KurirError):
    """A sealed text was made with other keys, for another context, or is damaged; or a key is unfit."""

    reason = "seal"


def generate_key() -> str:
    """Return a new Fernet key."""
    return Fernet.generate_key().decode()


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"kurir/{purpose}".encode()).derive(key)


def derive_keys(keys: str | SecretStr, channel: str) -> list[str]:
    """Return the Fernet keys of one channel: all that a channel's service needs to be given."""
    return [base64.urlsafe_b64encode(_derive(_raw(key), f"channel/{channel}")).decode() for key in split(keys)]


def _raw(key: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(key)
    except (binascii.Error, ValueError) as error:
        raise SealError("a sealing key is not a Fernet key") from error
    if len(raw) != 32:
        raise SealError("a sealing key is not a Fernet key")
    return raw


class Sealer:
    """Seals bytes for one context, such as `email/acc_1`: a sealed text moved elsewhere does not open."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take Fernet keys; the first seals, any opens. Raises SealError without a usable one."""
        if not keys:
            raise SealError("no sealing key: set KURIR_SEALING_KEYS")
        self._keys = list(keys)
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_raw(key))) for key in keys])

    @classmethod
    def from_keys(cls, keys: str | SecretStr | Sequence[str]) -> Self:
        """Return a sealer of comma separated (or listed) Fernet keys."""
        return cls(split(keys) if isinstance(keys, str | SecretStr) else keys)

    def for_channel(self, channel: str) -> "Sealer":
        """Return the sealer with this channel's own keys, derived by HKDF from each of ours."""
        return Sealer(derive_keys(",".join(self._keys), channel))

    def seal(self, data: bytes, context: str) -> str:
        """Return *data* sealed for *context*."""
        return self._fernet.encrypt(_bind(data, context)).decode()

    def open(self, token: str, context: str) -> bytes:
        """Return what was sealed. Raises SealError for other keys, another context or a damaged text."""
        try:
            plain = self._fernet.decrypt(token.encode())
        except (InvalidToken, ValueError) as error:
            raise SealError("cannot be opened with these keys") from error
        length = int.from_bytes(plain[:2], "big")
        if not hmac.compare_digest(plain[2 : 2 + length], context.encode()):
            raise SealError("was sealed for another context")
        return plain[2 + length :]

    def rotate(self, token: str, context: str) -> str:
        """Return the same secret sealed with the first key. Raises SealError as `open` does."""
        return self.seal(self.open(token, context), context)


def _bind(data: bytes, context: str) -> bytes:
    name = context.encode()
    return len(name).to_bytes(2, "big") + name + data


def channel_sealer(settings: ServiceSettings, channel: str) -> Sealer:
    """Return a channel's sealer, from its own keys where they are given, else derived from the master keys."""
    if split(settings.channel_keys):
        return Sealer.from_keys(settings.channel_keys)
    return Sealer.from_keys(settings.sealing_keys).for_channel(channel)


class AddressHasher:
    """HMACs of addresses, the keys of suppressions. Its keys are never retired, or the suppressed would be written to."""

    def __init__(self, keys: str | SecretStr | Sequence[str]) -> None:
        """Take comma separated (or listed) keys. Raises SealError without one."""
        self._keys = [key.encode() for key in (split(keys) if isinstance(keys, str | SecretStr) else keys)]
        if not self._keys:
            raise SealError("no address key: set KURIR_ADDRESS_HMAC_KEYS")

    def digest(self, channel: str, address: str) -> str:
        """Return 64 hex digits for an address in its channel's normal form (case and blanks around do not count)."""
        return self.digests(channel, address)[0]

    def digests(self, channel: str, address: str) -> list[str]:
        """Return the address under every key; look up all of them, write the first."""
        text = f"{channel}\0{address.strip().casefold()}".encode()
        return [hmac.digest(key, text, "sha256").hex() for key in self._keys]


class Signer:
    """Tokens that carry their text and a MAC: an unsubscribe link works after its campaign is gone."""

    def __init__(self, keys: str | SecretStr | Sequence[str], purpose: str = "unsubscribe") -> None:
        """Take comma separated (or listed) keys; each purpose has keys of its own. Raises SealError without one."""
        listed = split(keys) if isinstance(keys, str | SecretStr) else keys
        if not listed:
            raise SealError("no signing key: set KURIR_ADDRESS_HMAC_KEYS")
        self._keys = [_derive(key.encode(), purpose) for key in listed]

    def sign(self, text: str) -> str:
        """Return a token fit for a URL."""
        return f"{_b64(text.encode())}.{_b64(self._mac(self._keys[0], text))}"

    def verify(self, token: str) -> str:
        """Return the text that was signed with any of the keys. Raises SealError."""
        body, _, mac = token.partition(".")
        try:
            text, given = _unb64(body).decode(), _unb64(mac)
        except (binascii.Error, ValueError) as error:
            raise SealError("not a token of ours") from error
        if not any(hmac.compare_digest(self._mac(key, text), given) for key in self._keys):
            raise SealError("not a token of ours")
        return text

    @staticmethod
    def _mac(key: bytes, text: str) -> bytes:
        return hmac.digest(key, text.encode(), "sha256")[:20]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
