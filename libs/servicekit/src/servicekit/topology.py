"""Applies contracts' topology to a server: creates, compares, updates, and refuses what would lose data."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from contracts import subjects
from contracts.topology import Bucket, ObjectStore, Stream, Topology
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from servicekit.errors import Permanent, Unavailable
from servicekit.logs import get_logger

KEY_TTL_MARKER_SECONDS = 60.0
"""How long the marker of an expired key stays, by which watchers hear of it."""

_COMPARED = (
    "retention",
    "storage",
    "max_age",
    "max_bytes",
    "max_msgs_per_subject",
    "max_consumers",
    "discard",
    "discard_new_per_subject",
    "duplicate_window",
    "allow_rollup_hdrs",
    "allow_direct",
    "allow_msg_ttl",
    "subject_delete_marker_ttl",
)
_FIXED = ("retention", "storage", "max_consumers")
_LIMITS = ("max_age", "max_bytes", "max_msgs_per_subject")
_log = get_logger("servicekit.topology")


@dataclass
class Applied:
    """What `apply` did, by name."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


def stream_config(stream: Stream, replicas: int = 1) -> api.StreamConfig:
    """Return JetStream's configuration of a stream."""
    discard_new = stream.discard_new or stream.discard_new_per_subject
    return api.StreamConfig(
        name=stream.name,
        description=stream.why,
        subjects=list(stream.subjects),
        retention=api.RetentionPolicy(stream.retention),
        storage=api.StorageType.FILE,
        max_age=float(stream.max_age_seconds or 0),
        max_bytes=stream.max_bytes or -1,
        max_msgs_per_subject=stream.max_messages_per_subject or -1,
        max_consumers=stream.max_consumers or -1,
        discard=api.DiscardPolicy.NEW if discard_new else api.DiscardPolicy.OLD,
        discard_new_per_subject=stream.discard_new_per_subject,
        duplicate_window=float(stream.duplicate_window_seconds),
        num_replicas=replicas,
    )


def bucket_config(bucket: Bucket, replicas: int = 1) -> api.StreamConfig:
    """Return the configuration of the stream under a key-value bucket (NATS ADR-8)."""
    return api.StreamConfig(
        name=f"KV_{bucket.name}",
        description=bucket.why,
        subjects=[f"$KV.{bucket.name}.>"],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        max_msgs_per_subject=1,
        max_consumers=-1,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=120.0,
        allow_rollup_hdrs=True,
        deny_delete=True,
        allow_direct=True,
        allow_msg_ttl=bucket.key_ttl or None,
        subject_delete_marker_ttl=KEY_TTL_MARKER_SECONDS if bucket.key_ttl else None,
        num_replicas=replicas,
    )


def object_store_config(store: ObjectStore, replicas: int = 1) -> api.StreamConfig:
    """Return the configuration of the stream under an object store (NATS ADR-20)."""
    return api.StreamConfig(
        name=f"OBJ_{store.name}",
        description=store.why,
        subjects=[f"$O.{store.name}.C.>", f"$O.{store.name}.M.>"],
        storage=api.StorageType.FILE,
        retention=api.RetentionPolicy.LIMITS,
        max_consumers=-1,
        discard=api.DiscardPolicy.NEW,
        duplicate_window=120.0,
        allow_rollup_hdrs=True,
        allow_direct=True,
        num_replicas=replicas,
    )


def configs(topology: Topology, replicas: int = 1) -> list[api.StreamConfig]:
    """Return every stream of a topology, those under buckets and object stores included."""
    return [
        *(stream_config(s, replicas) for s in topology.streams),
        *(bucket_config(b, replicas) for b in topology.buckets),
        *(object_store_config(o, replicas) for o in topology.objects),
    ]


async def apply(js: JetStreamContext, topology: Topology, *, replicas: int = 1) -> Applied:
    """Make the server have what the topology says; running it again changes nothing.

    Looks at everything before it changes anything. Raises Permanent("topology") naming each change that would lose data
    or that JetStream cannot make, Unavailable where NATS does not answer.
    """
    done, changes, refused = Applied(), [], []
    with _answering():
        for want in configs(topology, replicas):
            info = await _info(js, str(want.name))
            changes.append((want, info))
            refused.extend(await _dangers(js, want, info) if info else [])
        if refused:
            raise Permanent("topology", "; ".join(refused))
        for want, info in changes:
            await _make(js, want, info, done)
    return done


async def check(js: JetStreamContext, topology: Topology) -> list[str]:
    """Return what the server lacks or has otherwise, a sentence each; empty where all is well."""
    found: list[str] = []
    with _answering():
        for want in configs(topology):
            info = await _info(js, str(want.name))
            found.extend(
                [f"{want.name}: is missing"]
                if info is None
                else [f"{want.name}: {d}" for d in _differ(info.config, want)]
            )
    return found


async def _make(js: JetStreamContext, want: api.StreamConfig, info: api.StreamInfo | None, done: Applied) -> None:
    name = str(want.name)
    if info is None:
        await js.add_stream(config=want)
        done.created.append(name)
    elif different := _differ(info.config, want):
        _log.info("stream updated", stream=name, differences=different)
        changed = {f: getattr(want, f) for f in (*_COMPARED, "subjects", "description")}
        await js.update_stream(config=info.config.evolve(**changed))
        done.updated.append(name)
    else:
        done.unchanged.append(name)


async def _info(js: JetStreamContext, name: str) -> api.StreamInfo | None:
    try:
        return await js.stream_info(name)
    except js_errors.NotFoundError:
        return None


def _value(config: api.StreamConfig, name: str) -> Any:
    value = getattr(config, name)
    return None if value in (None, 0, -1, False) else value


def _differ(have: api.StreamConfig, want: api.StreamConfig) -> list[str]:
    found = [
        f"{name} is {_value(have, name)} instead of {_value(want, name)}"
        for name in _COMPARED
        if _value(have, name) != _value(want, name)
    ]
    if set(have.subjects or ()) != set(want.subjects or ()):
        found.append(f"subjects are {sorted(have.subjects or ())} instead of {sorted(want.subjects or ())}")
    return found


async def _dangers(js: JetStreamContext, want: api.StreamConfig, info: api.StreamInfo) -> list[str]:
    """Return what must not or cannot be done to an existing stream."""
    have, name = info.config, want.name
    found = [
        f"{name}: {f} cannot be changed from {_value(have, f)} to {_value(want, f)}: drain and delete the stream first"
        for f in _FIXED
        if _value(have, f) != _value(want, f)
    ]
    if info.state.messages == 0 or not _differ(have, want):
        return found
    tightened = [f for f in _LIMITS if _tighter(_value(have, f), _value(want, f))]
    queues = (await js.stream_info(str(name), subjects_filter=">")).state.subjects or {}
    if "max_age" in tightened:
        found.append(f"{name}: a shorter max_age would drop messages: it holds {info.state.messages}")
    if "max_bytes" in tightened and info.state.bytes > (want.max_bytes or 0):
        found.append(f"{name}: holds {info.state.bytes} bytes, more than the new max_bytes {want.max_bytes}")
    longest = max(queues.values(), default=0)
    if "max_msgs_per_subject" in tightened and longest > want.max_msgs_per_subject:
        found.append(f"{name}: a subject holds {longest} messages, more than the new {want.max_msgs_per_subject}")
    lost = [s for s in queues if not any(subjects.matches(p, s) for p in want.subjects or ())]
    if lost:
        found.append(f"{name}: {len(lost)} subjects with messages would be left out, such as {lost[0]}")
    return found


def _tighter(have: float | None, want: float | None) -> bool:
    return want is not None and (have is None or want < have)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except js_errors.APIError as error:
        raise Permanent("topology", f"NATS refuses: {error.description or error}") from error
    except (nats.errors.Error, js_errors.Error, TimeoutError, OSError) as error:
        raise Unavailable(f"NATS does not answer: {error!r}"[:300]) from error
