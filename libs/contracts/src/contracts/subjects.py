"""Every subject by name: build them here, never by hand."""

from collections.abc import Iterable
from typing import Literal

from contracts.channels import Channel

Queue = Literal["now", "bulk"]
What = Literal[
    "sent", "delivered", "read", "failed", "unknown", "cancelled", "bounced", "received", "edited", "deleted"
]


def send(channel: Channel, account_id: str, queue: Queue) -> str:
    """Return the subject of send commands; `now` carries replies and tests and goes before `bulk`."""
    return f"cmd.{channel}.{account_id}.send.{queue}.v1"


def inbox(channel: Channel | str, account_id: str, what: What | str) -> str:
    """Return the subject of an outcome or an inbound message; `*` where a part is any."""
    return f"inbox.{channel}.{account_id}.{what}.v1"


def session(channel: Channel | str, account_id: str) -> str:
    """Return the subject of login states."""
    return f"evt.{channel}.{account_id}.session.v1"


def log(channel: Channel | str, account_id: str) -> str:
    """Return the subject of an account's log lines."""
    return f"evt.{channel}.{account_id}.log.v1"


def domain(service: str, entity: str, past_tense: str) -> str:
    """Return the subject of a domain event, such as `evt.accounts.account.deleted.v1`."""
    return f"evt.{service}.{entity}.{past_tense}.v1"


def request(channel: Channel, account_id: str, verb: Literal["answer", "check"]) -> str:
    """Return the subject the account's session holder answers on."""
    return f"req.{channel}.{account_id}.{verb}.v1"


def test(channel: Channel) -> str:
    """Return the subject of a test of unsaved settings; any replica answers."""
    return f"req.{channel}.any.test.v1"


def hint(service: str) -> str:
    """Return the core subject that tells every replica of *service* what changed."""
    return f"hint.{service}.changed.v1"


def dead_letter(subject: str) -> str:
    """Return where a message of *subject* ends that nobody could handle."""
    return f"dlq.{subject}"


def commands_stream(channel: Channel) -> str:
    """Return the work queue of a channel."""
    return f"COMMANDS_{channel.upper()}"


def bucket(
    kind: Literal["accounts", "sessions", "members", "leases", "ledger", "lanes", "cursors"], channel: Channel
) -> str:
    """Return the name of a channel's bucket."""
    return f"{kind}_{channel}"


def shown_key(account_id: str) -> str:
    """Return where in `sessions_<channel>` lies what a person has to see, beside the account's state."""
    return f"{account_id}.shown"


def consumer(account_id: str, queue: Queue) -> str:
    """Return the durable name of an account's lane consumer."""
    return f"lane_{account_id}_{queue}"


def parse_send(subject: str) -> tuple[str, str, str] | None:
    """Return (channel, account_id, queue) of a send command's subject in the version we know, else None."""
    match subject.split("."):
        case ["cmd", channel, account_id, "send", ("now" | "bulk") as queue, "v1"]:
            return channel, account_id, queue
    return None


def parse_inbox(subject: str) -> tuple[str, str, str] | None:
    """Return (channel, account_id, what), or None for anything else."""
    match subject.split("."):
        case ["inbox", channel, account_id, what, "v1"]:
            return channel, account_id, what
    return None


def matches(pattern: str, subject: str) -> bool:
    """Return whether *subject* falls under a NATS pattern with `*` and a last `>`."""
    want, have = pattern.split("."), subject.split(".")
    if want[-1] == ">":
        return len(have) >= len(want) and _same(want[:-1], have)
    return len(want) == len(have) and _same(want, have)


def _same(want: Iterable[str], have: Iterable[str]) -> bool:
    return all(w in ("*", h) for w, h in zip(want, have, strict=False))
