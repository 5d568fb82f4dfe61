"""The library's errors in our words."""

import re
from typing import Any

from telethon import errors as _module

_NUMBERED = re.compile(r"^(.+?)_(\d+)(_.*|MIN)?$")
_errors: Any = _module
_lists: Any = _errors.rpcerrorlist
_NAMES: dict[type, str] = {error: name for name, error in reversed(_lists.rpc_errors_dict.items())}
_NAMES |= {error: pattern.replace(r"_(\d+)", "") for pattern, error in _lists.rpc_errors_re}


UNREADABLE = "UNREADABLE_ANSWER"
"""Our own name for an answer the library cannot read: its schema is older than what came."""


class TelegramError(Exception):
    """The platform refused a request: its own name for the error, its number, and the seconds or DC the name holds."""

    def __init__(self, name: str, code: int = 400, number: int = 0) -> None:
        super().__init__(name)
        self.name, self.code, self.number = name, code, number

    @property
    def words(self) -> str:
        """Return what the server said."""
        return f"{self.code} {self.name}" + (f" {self.number}" if self.number else "")


class ConnectionLost(ConnectionError):  # noqa: N818  # named as the kit's own are
    """The connection ended, or no answer came in time: whether the request was carried out is not known."""


def translated(error: Exception) -> Exception:
    """Return our error for one of the library's; others as they are."""
    if isinstance(error, _errors.RPCError):
        return _refusal(error)
    if isinstance(error, _errors.AuthKeyNotFound):
        return TelegramError("AUTH_KEY_NOT_FOUND", 401)
    if isinstance(error, _errors.TypeNotFoundError | BufferError):
        return _unreadable(error)
    if isinstance(error, OSError | EOFError | TimeoutError | _errors.SecurityError):
        return error if isinstance(error, ConnectionLost) else ConnectionLost(str(error) or type(error).__name__)
    return error


def _unreadable(error: Any) -> Exception:
    """The library's own words quote what it could not read: a message, or a login code."""
    if isinstance(error, _errors.InvalidBufferError):
        return ConnectionLost(f"transport error {error.code}" if error.code else "not Telegram's protocol")
    return TelegramError(UNREADABLE, 500)


def _refusal(error: Any) -> TelegramError:
    code = abs(error.code or type(error).code or 400)
    name = _NAMES.get(type(error))
    if name is not None:
        return TelegramError(name, code, _number(error))
    text = str(error.message or "UNKNOWN")
    found = _NUMBERED.match(text)
    return TelegramError(found[1], code, int(found[2])) if found else TelegramError(text, code)


def _number(error: Any) -> int:
    numbers = [value for key, value in vars(error).items() if key not in {"request", "code"} and isinstance(value, int)]
    return numbers[0] if numbers else 0
