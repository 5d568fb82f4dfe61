"""Poison for every subject that somebody of ours consumes, made from the one table of contracts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts import examples
from contracts.channels import Channel
from contracts.headers import CE_TYPE
from contracts.registry import CONTRACTS, OUTSIDE, Contract

TOO_LARGE_TO_STORE = 2**70
"""Fits its model and no store: the handler fails each time, until its tries are exhausted."""
LAST_TRY = 4
"""A command that comes with so many tries has one left (LaneSettings.tries_limit)."""


@dataclass(frozen=True)
class Poison:
    """One message that nobody can handle, and a word of the reason its dead letter gives."""

    kind: str
    subject: str
    payload: bytes
    error: str
    headers: tuple[tuple[str, str], ...] = ()


def _fails(**fields: Any) -> dict[str, tuple[dict[str, Any], str]]:
    return {"its handler always fails": (fields, "8-byte ints")}


_OUTCOME, _RECEIPT = _fails(tries=TOO_LARGE_TO_STORE), _fails(wanted=TOO_LARGE_TO_STORE)
_FILE = {"filename": "a.pdf", "content_type": "application/pdf", "size": 1}
_COMMAND = {
    "its attachment is missing": ({"content": {"attachments": [{**_FILE, "object": "gone"}]}}, "attachment_missing"),
    "its body is missing": ({"content": {"body_object": "gone"}}, "attachment_missing"),
    "its tries are exhausted": ({"to": {"address": "tempfail-1@practice.test"}, "tries": LAST_TRY}, "exhausted"),
}
OWN: dict[str, dict[str, tuple[dict[str, Any], str]]] = {
    "cmd.{channel}.{account_id}.send.now.v1": _COMMAND,
    "cmd.{channel}.{account_id}.send.bulk.v1": _COMMAND,
    "inbox.{channel}.{account_id}.sent.v1": _OUTCOME,
    "inbox.{channel}.{account_id}.failed.v1": _OUTCOME,
    "inbox.{channel}.{account_id}.unknown.v1": _OUTCOME,
    "inbox.{channel}.{account_id}.cancelled.v1": _OUTCOME,
    "inbox.{channel}.{account_id}.delivered.v1": _RECEIPT,
    "inbox.{channel}.{account_id}.read.v1": _RECEIPT,
    "inbox.{channel}.{account_id}.received.v1": _fails(attachments=[{**_FILE, "object": "o", "size": TOO_LARGE_TO_STORE}]),
    # What fits these models always ends: they hold nothing that a store could refuse.
    "inbox.{channel}.{account_id}.bounced.v1": {},
    "inbox.{channel}.{account_id}.edited.v1": {},
    "inbox.{channel}.{account_id}.deleted.v1": {},
    "evt.{channel}.{account_id}.session.v1": {},
    "evt.{channel}.{account_id}.log.v1": {},
    "evt.accounts.account.deleting.v1": {},
}  # fmt: skip
"""Contract → kind → (the fields that make it so, its error), beside what is poison on every subject."""


def consumed() -> list[Contract]:
    """Return the contracts whose messages a durable consumer of ours takes from a stream."""
    return [c for c in CONTRACTS if c.transport == "jetstream" and set(c.receivers) - {OUTSIDE}]


def subject(contract: Contract, account: str) -> str:
    """Return the contract's subject for an e-mail account."""
    return contract.address.format(channel=Channel.EMAIL, account_id=account)


def good(contract: Contract, account: str, **fields: Any) -> dict[str, Any]:
    """Return a message that its consumer takes without a word."""
    made = examples.example(contract.model)
    if contract.address.startswith("cmd."):
        made |= {"content": {"subject": "s", "text": "t"}}
    made |= fields
    if "{account_id}" in contract.address:
        made |= {"account_id": account, "channel": "email"}
    if contract.address.startswith("cmd."):
        made |= {"source": "crm", "not_after": (datetime.now(UTC) + timedelta(minutes=10)).isoformat()}
    return made


def poison(contract: Contract, account: str) -> Iterator[Poison]:
    """Yield one message of every kind there is for this contract; no two have the same payload."""
    where, unique = subject(contract, account), f"{contract.address} ".encode()
    yield Poison("not JSON", where, unique + b"not json", "malformed")
    yield Poison("not UTF-8", where, unique + b"\xff\x00", "malformed")
    yield Poison("nested without end", where, b"[" * 100_000 + unique, "malformed")
    yield Poison("another model", where, json.dumps({"of": contract.address}).encode(), "malformed")
    yield _typed(contract, account, "a version nobody knows", contract.model.ce_type().replace(".v1", ".v9"))
    yield _typed(contract, account, "the type of another message", "kurir.reply.v1")
    if "{account_id}" in contract.address:
        stranger = {**good(contract, account), "account_id": "acc_somebody_else"}
        yield Poison("another account", where, json.dumps(stranger).encode(), "wrong_account")
    for number, (kind, (fields, error)) in enumerate(OWN[contract.address].items()):
        own = good(contract, account, **fields, **_named(contract, f"poison-{number}"))
        yield Poison(kind, where, json.dumps(own).encode(), error)


def _typed(contract: Contract, account: str, kind: str, ce_type: str) -> Poison:
    message = json.dumps(good(contract, account, **_named(contract, kind.replace(" ", "-")))).encode()
    return Poison(kind, subject(contract, account), message, "unknown_version", ((CE_TYPE, ce_type),))


def _named(contract: Contract, name: str) -> dict[str, str]:
    """Return what makes a message one of its own."""
    queue = contract.address.split(".")[-2]
    known = {"id": f"{queue}-{name}"} if "id" in contract.model.model_fields else {}
    return known | ({"row": f"row-{queue}-{name}"} if "row" in contract.model.model_fields and not known else {})
