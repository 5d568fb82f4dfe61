"""Poison of every kind on every subject: each ends in the dead letters, once, and nothing good waits behind it."""

import asyncio
import json
from collections import Counter

import pytest
from contracts import subjects
from contracts.channels import Channel
from contracts.registry import CONTRACTS
from kurir.demo.rest import wait_for
from servicekit import stream_reader

from tests.e2e.test_demo import kurir as command
from tests.support import poison

STRANGE = ("cmd.email.{account}.send.bulk.v9", "inbox.email.{account}.sent.v9", "inbox.email.{account}.exploded.v1")
"""Subjects of no contract that a stream of ours takes and somebody of ours reads."""


@pytest.fixture
def sweeping(monkeypatch):
    """Have commands on unknown subjects swept soon."""
    monkeypatch.setenv("CHANNEL_EMAIL_SWEEP_SECONDS", "2")


@pytest.fixture
async def platform(sweeping, kurir):
    """Return a platform, and its bus."""
    connection = await kurir.bus()
    yield kurir, connection
    await connection.close()


async def letters(connection):
    """Return (subject, payload) → how many dead letters there are of it, with their error."""
    found, errors = Counter(), {}
    async for message in stream_reader.read(connection.jetstream(), "DLQ", "dlq.>"):
        key = (message.subject.removeprefix("dlq."), message.data)
        found[key] += 1
        errors[key] = message.headers["x-error"]
    return found, errors


async def filters(connection):
    """Return what the durable consumers of INBOX and EVENTS take."""
    found = set()
    for stream in ("INBOX", "EVENTS"):
        for info in await connection.jetstream().consumers_info(stream):
            if info.config.durable_name:
                found |= set(info.config.filter_subjects or [info.config.filter_subject])
    return found


async def waiting(connection):
    """Return how many messages of any kind are delivered or to be delivered, and not acknowledged."""
    total = 0
    for stream in ("INBOX", "EVENTS", subjects.commands_stream(Channel.EMAIL)):
        for info in await connection.jetstream().consumers_info(stream):
            total += (info.num_pending or 0) + (info.num_ack_pending or 0) if info.config.durable_name else 0
    return total


async def good(kurir, connection, account, name):
    """Publish what should pass on every subject; return what shows that it did."""
    address = f"good-{name}@practice.test"
    for contract in poison.consumed():
        fields = {"row": f"good-{name}", "id": f"good-{name}"} if not contract.address.startswith("cmd.") else {}
        own = {k: v for k, v in fields.items() if k in contract.model.model_fields}
        if contract.address.startswith("cmd."):
            own = {"id": f"good-{contract.address.split('.')[-2]}-{name}", "to": {"address": address},
                   "content": {"subject": "s", "text": "t"}}  # fmt: skip
        if contract.address.endswith("received.v1"):
            own |= {"conversation": address, "sender": {"address": address}, "platform_id": f"<{name}@x.test>"}
        if contract.address.endswith("deleting.v1"):
            own |= {"account_id": "acc_nobody"}
        if contract.address.endswith("session.v1"):
            own |= {"status": "ready"}
        data = json.dumps(poison.good(contract, account, **own)).encode()
        await connection.jetstream().publish(poison.subject(contract, account), data)

    async def passed():
        sent = len(await kurir.mail.messages(to=address)) == 2
        talks = [c async for c in kurir.rest.items("campaigns", "/v1/conversations", q=address)]
        return sent and talks

    return passed


async def bury(connection, account):
    """Publish all the poison there is; return (subject, payload) → how many, and the word the errors must hold."""
    stream, expected, errors = connection.jetstream(), Counter(), {}
    for contract in poison.consumed():
        for one in poison.poison(contract, account):
            await stream.publish(one.subject, one.payload, headers=dict(one.headers) or None)
            expected[one.subject, one.payload] += 1
            errors[one.subject, one.payload] = one.error
    for number, strange in enumerate(STRANGE):
        payload = b"from the future %d" % number
        await stream.publish(strange.format(account=account), payload)
        expected[strange.format(account=account), payload] += 1
        errors[strange.format(account=account), payload] = "unknown"
    return expected, errors


async def come(connection, expected, seconds=90):
    """Wait until as many dead letters lie there as are expected; fails with those that do not."""
    for _ in range(seconds):
        found = (await letters(connection))[0]
        if found.total() >= expected.total():
            return
        await asyncio.sleep(1)
    missing = [
        (subject, payload[:200])
        for subject, payload in expected
        if found[subject, payload] < expected[subject, payload]
    ]
    raise AssertionError(f"no dead letter: {missing}")


async def test_the_dead_letters_equal_the_poison_and_what_is_good_passes(platform, full):
    kurir, connection = platform
    account = await kurir.story.account(pace={"per_second": None, "connections": 2})
    taken = await filters(connection)
    for contract in CONTRACTS:  # who consumes is as the table says
        where = poison.subject(contract, account) if contract.transport == "jetstream" else ""
        if where and not where.startswith("cmd."):
            consumed = any(subjects.matches(pattern, where) for pattern in taken)
            assert consumed == (contract in poison.consumed()), where
    before = await good(kurir, connection, account, "before")
    expected, reasons = await bury(connection, account)
    after = await good(kurir, connection, account, "after")
    await wait_for("what was good before", before, 20)
    await wait_for("what is good behind it", after, 20)  # long before the last try of a handler that always fails

    await come(connection, expected)
    await asyncio.sleep(2)
    found, errors = await letters(connection)
    assert found == expected
    assert [(key, errors[key]) for key, reason in reasons.items() if reason not in errors[key]] == []

    async def nothing_waits():
        return await waiting(connection) == 0

    await wait_for("nothing to be left", nothing_waits, 30)
    await requests_are_answered(connection, account)
    assert (await letters(connection))[0] == found
    if full:
        await in_an_operators_hands(kurir, connection, expected, reasons)


async def requests_are_answered(connection, account):
    """Poison on a request ends as an error in its answer: nobody would look for it among the dead letters."""
    for contract in CONTRACTS:
        if contract.reply is None:
            continue
        stranger = {**poison.good(contract, account), "account_id": "acc_somebody_else", "channel": "telegram"}
        for data in (b"not json", b"\xff\x00", b"[" * 100_000, b"{}", json.dumps(stranger).encode()):
            answer = await connection.request(poison.subject(contract, account), data, timeout=10)
            said = contract.reply.model_validate_json(answer.data)
            assert (said.ok, said.error in ("malformed", "wrong_account", "wrong_channel")) == (False, True), said


async def dlq(kurir, *arguments):
    return await asyncio.to_thread(command, "dlq", *arguments, home=kurir.platform.home.folder)


async def in_an_operators_hands(kurir, connection, expected, reasons):
    """List, show, replay and drop all of it with the command."""
    listed = json.loads((await dlq(kurir, "list", "--limit", "1000", "--json")).stdout)
    assert (listed["total"], len(listed["items"])) == (expected.total(), expected.total())
    decided = [one for one, why in reasons.items() if why in ("attachment_missing", "exhausted")]
    for item in listed["items"][:: max(1, expected.total() // 6)]:
        assert (await dlq(kurir, "show", str(item["sequence"]))).returncode == 0
    replayed = await dlq(kurir, "replay", "--subject", ">")
    refused = [line for line in replayed.stderr.splitlines() if "is not replayed" in line]
    assert replayed.returncode == 1
    assert len([line for line in refused if "POST /v1/outbox/crm." in line]) == len(decided) == 6
    assert len(refused) == 6 + 2, refused  # and those that name another account can only be dropped

    await come(connection, expected)
    assert (await letters(connection))[0] == expected
    assert (await dlq(kurir, "drop", "--subject", ">", "--yes")).returncode == 0
    assert json.loads((await dlq(kurir, "list", "--json")).stdout) == {"total": 0, "items": []}
