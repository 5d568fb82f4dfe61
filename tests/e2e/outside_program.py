"""A program that has nothing but `contracts` and a NATS client: sends one message, waits for what became of it.

usage: outside_program.py NATS_URL ACCOUNT_ID ADDRESS COMMAND_ID; prints the outcome as JSON.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

import nats
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import SendMessage


async def main() -> None:
    url, account, address, command_id = sys.argv[1:]
    connection = await nats.connect(url)
    stream = connection.jetstream()
    results = await stream.subscribe(subjects.inbox(Channel.EMAIL, account, "*"), ordered_consumer=True)
    command = SendMessage.model_validate(
        {
            "id": command_id,
            "source": "crm",
            "account_id": account,
            "kind": "automation",
            "not_after": datetime.now(UTC) + timedelta(minutes=5),
            "to": {"address": address, "name": "Pembeli"},
            "content": {"subject": "Pesanan 17", "text": "Pesanan Anda sudah dikirim."},
        }
    )
    await stream.publish(subjects.send(Channel.EMAIL, account, "bulk"), command.model_dump_json().encode())
    while True:
        message = await results.next_msg(timeout=30)
        event = json.loads(message.data)
        if event.get("row") == command.row:
            print(json.dumps({"subject": message.subject, "event": event}))
            break
    await connection.close()


asyncio.run(main())
