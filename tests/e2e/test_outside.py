"""Programs outside: a command over the bus, its result, and its row in the outbox; and what the bus truly carries."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from contracts import asyncapi, subjects
from contracts.registry import CONTRACTS
from kurir.demo.rest import wait_for

PROGRAM = Path(__file__).parent / "outside_program.py"


async def send_from_outside(kurir, account, address, command_id):
    arguments = [sys.executable, str(PROGRAM), kurir.platform.endpoints.nats_url, account, address, command_id]
    ended = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


async def test_a_program_with_only_the_contracts_sends_and_hears_the_outcome(kurir):
    account = await kurir.story.account()
    heard = await send_from_outside(kurir, account, "reply-17@practice.test", "order-17")
    assert heard["subject"] == subjects.inbox("email", account, "sent")
    assert heard["event"]["row"] == "crm.order-17"
    again = await send_from_outside(kurir, account, "reply-17@practice.test", "order-17")
    assert again["event"]["row"] == "crm.order-17"
    await asyncio.sleep(2)
    assert len(await kurir.mail.messages(to="reply-17@practice.test")) == 1

    async def row():
        return [r async for r in kurir.rest.items("campaigns", "/v1/outbox", account=account, q="reply-17@")]

    rows = await wait_for("the row of the outside command", row, 20)
    assert [(r["id"], r["state"]) for r in rows] == [("crm.order-17", "sent")]

    async def conversations():
        return [c async for c in kurir.rest.items("campaigns", "/v1/conversations", account=account)]

    assert [c["address"] for c in await wait_for("the reply", conversations, 20)] == ["reply-17@practice.test"]


async def test_the_bus_carries_only_what_the_asyncapi_documents_say(kurir):
    seen = set()

    async def note(message):
        seen.add(message.subject)

    connection = await kurir.bus()
    for pattern in ("cmd.>", "inbox.>", "evt.>", "req.>", "hint.>", "dlq.>", "$KV.>"):
        await connection.subscribe(pattern, cb=note)
    story = kurir.tell(20)
    result = await story.run()
    assert result.troubles() == []
    await connection.close()
    documented = {
        c["address"] for service in asyncapi.SERVICES for c in asyncapi.document(service)["channels"].values()
    }
    assert documented == {c.address.replace("key>}", "key}") for c in CONTRACTS}
    assert {s for s in seen if not any(carries(c, s) for c in CONTRACTS)} == set()
    used = {c.address for c in CONTRACTS for s in seen if carries(c, s)}
    for what in ("sent", "received", "bounced"):
        assert f"inbox.{{channel}}.{{account_id}}.{what}.v1" in used
    assert {"cmd.{channel}.{account_id}.send.now.v1", "$KV.ledger_{channel}.{key>}", "$KV.suppressions.{key>}"} <= used


def carries(contract, subject):
    """Return whether the subject is the contract's; a bucket's name holds its channel, which NATS patterns cannot say."""
    bucket = subject.split(".")[1].rpartition("_")[0]
    named = contract.address.split(".")[1].rpartition("_{")[0]
    return subjects.matches(contract.pattern, subject) and (not named or bucket == named)
