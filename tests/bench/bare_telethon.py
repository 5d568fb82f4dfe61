"""The loop people write by hand with Telethon: `bare_telethon.py KEY_FILE HOST:PORT AUTH_KEY FIRST COUNT {new,known}`.

Each message is awaited before the next is sent, as in Telethon's own examples. *new*: each recipient's number is put into
the contacts first, as who writes to a stranger must; *known*: they were before. Prints messages per second and CPU.
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from telethon import TelegramClient
from telethon.crypto import AuthKey, rsa
from telethon.sessions import MemorySession
from telethon.tl.functions.contacts import ImportContactsRequest
from telethon.tl.types import InputPhoneContact

TEXT = "Kopi Gayo sudah datang. " * 10


async def main(at: str, key: str, first: str, count: str, who: str) -> None:
    session = MemorySession()
    host, _, port = at.partition(":")
    session.set_dc(2, host, int(port))
    session.auth_key = AuthKey(bytes.fromhex(key))
    client = TelegramClient(session, 1, "bench", receive_updates=False)
    await client.connect()
    phones = [f"+{int(first) + number}" for number in range(int(count))]
    known = [await _peer(client, phone) for phone in phones] if who == "known" else []
    began, cpu = time.perf_counter(), _cpu()
    for number, phone in enumerate(phones):
        await client.send_message(known[number] if known else await _peer(client, phone), TEXT)
    found = {
        "per_second": len(phones) / (time.perf_counter() - began),
        "cpu_us": (_cpu() - cpu) / len(phones) * 1e6,
    }
    await client.disconnect()
    print(json.dumps(found))


async def _peer(client: TelegramClient, phone: str) -> Any:
    """Return whose number it is, as what messages are sent to."""
    contact = InputPhoneContact(client_id=0, phone=phone, first_name="Person", last_name="")
    found = await client(ImportContactsRequest([contact]))
    return await client.get_input_entity(found.users[0])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    rsa.add_key(Path(sys.argv[1]).read_text("ascii"), old=False)
    asyncio.run(main(*sys.argv[2:]))
