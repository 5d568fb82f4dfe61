"""A message as a handler sees it, and how one becomes it."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts import subjects
from contracts.base import Message
from contracts.channels import Channel
from contracts.headers import CE_ID, MSG_ID, version_of
from contracts.registry import CONTRACTS
from nats.aio.msg import Msg
from pydantic import ValidationError

from servicekit.errors import KurirError, Permanent, Retry

_CHANNELS = frozenset(Channel)
Decode = Callable[[str, dict[str, str], bytes], Any]


@dataclass
class Received:
    """One message. `fail` and `retry` judge it alone, while the rest of its batch is acknowledged."""

    subject: str
    data: Any
    headers: dict[str, str]
    sequence: int
    tries: int
    at: datetime
    raw: Msg
    verdict: Exception | None = field(default=None)

    @property
    def id(self) -> str:
        """The sender's id of the message, or its place in the stream."""
        return self.headers.get(MSG_ID) or self.headers.get(CE_ID) or f"{self.raw.metadata.stream}.{self.sequence}"

    def fail(self, error: KurirError | Exception) -> None:
        """Settle this message by the policy as if its handler had raised *error*."""
        self.verdict = error

    def retry(self, after_seconds: float, detail: str = "") -> None:
        """Let this message come again after so many seconds."""
        self.verdict = Retry(after_seconds, detail)


def received(msg: Msg, decode: Decode) -> Received:
    """Return the message decoded. Raises Permanent for one that nobody will ever understand."""
    headers = dict(msg.headers or {})
    meta = msg.metadata
    try:
        data = decode(msg.subject, headers, msg.data)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) or "message" for e in error.errors()[:5])
        raise Permanent("malformed", f"does not fit its model: {where}") from error
    except ValueError as error:
        raise Permanent("malformed", str(error)[:300]) from error
    return Received(msg.subject, data, headers, meta.sequence.stream, meta.num_delivered, meta.timestamp, msg)


def by_contract(subject: str, headers: dict[str, str], data: bytes) -> Message:
    """Decode by the table of contracts.

    Raises Permanent for an unknown subject or version, and for a message that names another account than its subject
    (who may publish for one account may not speak for others); ValidationError.
    """
    model = _model_of(subject)
    if model is None:
        raise Permanent("unknown_subject", f"no contract for {subject}")
    if not version_of(headers, model):
        raise Permanent("unknown_version", f"{headers.get('ce-type')} instead of {model.ce_type()}")
    message = model.model_validate_json(data)
    _same_account(subject, message)
    return message


def _same_account(subject: str, message: Message) -> None:
    """Subjects of accounts are `inbox|evt.<channel>.<account_id>.<what>.v1`; a service's own name no account."""
    _, channel, account_id, *_ = subject.split(".")
    named = getattr(message, "channel", channel), getattr(message, "account_id", account_id)
    if channel in _CHANNELS and named != (channel, account_id):
        raise Permanent("wrong_account", f"{subject} carries a message of {named[0]}.{named[1]}")


@functools.lru_cache(maxsize=8_192)
def _model_of(subject: str) -> type[Message] | None:
    for contract in CONTRACTS:
        if contract.transport == "jetstream" and subjects.matches(contract.pattern, subject):
            return contract.model if issubclass(contract.model, Message) else None
    return None
