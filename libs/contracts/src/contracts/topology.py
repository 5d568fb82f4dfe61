"""Every stream, bucket and object store as data; servicekit applies it, once, from `kurir topology apply`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from contracts import subjects
from contracts.channels import EXTRACTORS, MESSAGING, Channel

DAY = 86_400
DUPLICATE_WINDOW_SECONDS = 120


@dataclass(frozen=True)
class Stream:
    """A JetStream stream; limits of None are unlimited."""

    name: str
    subjects: tuple[str, ...]
    why: str
    retention: Literal["limits", "workqueue"] = "limits"
    max_age_seconds: int | None = None
    max_bytes: int | None = None
    max_messages_per_subject: int | None = None
    discard_new: bool = False
    discard_new_per_subject: bool = False
    max_consumers: int | None = None
    duplicate_window_seconds: int = DUPLICATE_WINDOW_SECONDS


@dataclass(frozen=True)
class Bucket:
    """A key-value bucket, history 1; with `key_ttl` keys may carry their own time to live."""

    name: str
    why: str
    key_ttl: bool = False


@dataclass(frozen=True)
class ObjectStore:
    """An object store."""

    name: str
    why: str


@dataclass(frozen=True)
class Topology:
    """All that exists on the bus."""

    streams: tuple[Stream, ...]
    buckets: tuple[Bucket, ...]
    objects: tuple[ObjectStore, ...]


def commands(channel: Channel) -> Stream:
    """Return a channel's work queue: one account's backlog never refuses another's."""
    return Stream(
        subjects.commands_stream(channel),
        (f"cmd.{channel}.>",),
        "send commands, taken by the lane that holds the account",
        retention="workqueue",
        max_messages_per_subject=20_000,
        discard_new=True,
        discard_new_per_subject=True,
        max_consumers=20_000,
    )


FIXED_STREAMS = (
    Stream(
        "INBOX", ("inbox.>",), "outcomes and inbound messages; purged by campaigns", max_bytes=2 << 30, discard_new=True
    ),
    Stream("EVENTS", ("evt.>",), "login states, log lines, domain events", max_age_seconds=7 * DAY, max_bytes=1 << 30),
    Stream(
        "DLQ", ("dlq.>",), "what nobody could handle", max_age_seconds=30 * DAY, max_bytes=1 << 29, discard_new=True
    ),
)


def buckets(channel: Channel) -> tuple[Bucket, ...]:
    """Return a messaging channel's buckets."""
    return (
        Bucket(subjects.bucket("accounts", channel), "desired state, written by accounts"),
        Bucket(subjects.bucket("sessions", channel), "actual state, written by the holder", key_ttl=True),
        Bucket(subjects.bucket("members", channel), "replicas' heartbeats", key_ttl=True),
        Bucket(subjects.bucket("leases", channel), "who holds which account"),
        Bucket(subjects.bucket("ledger", channel), "what became of each attempt"),
        Bucket(subjects.bucket("lanes", channel), "daily caps and last sends"),
        Bucket(subjects.bucket("cursors", channel), "inbound positions"),
    )


def topology(channels: Iterable[Channel] = MESSAGING) -> Topology:
    """Return everything the given channels need."""
    messaging = [c for c in channels if c not in EXTRACTORS]
    return Topology(
        streams=(*FIXED_STREAMS, *(commands(c) for c in messaging)),
        buckets=(
            *(b for c in messaging for b in buckets(c)),
            Bucket("suppressions", "who may not be written to"),
            Bucket("marks", "which state of the store the bus has seen: a restored one is older"),
        ),
        objects=(ObjectStore("media", "attachments and large bodies"), ObjectStore("vault", "sealed sessions")),
    )
