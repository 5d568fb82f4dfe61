"""The loop people write by hand, as the baseline: aiosmtplib, one EmailMessage per recipient, one command at a time.

usage: bare_loop.py COUNT CONNECTIONS PORT [ready]; `ready` sends bytes built beforehand. Prints JSON.
"""

import asyncio
import json
import sys
import time
from email.message import EmailMessage

import aiosmtplib
import uvloop

TEXT = "Kopi Gayo sudah datang. " * 10
SENDER = "toko@practice.test"


def build(number: int) -> EmailMessage:
    """Return one message as the standard library makes it."""
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = f"person-{number}@practice.test"
    message["Subject"] = f"Halo {number}"
    message["Message-ID"] = f"<bare.{number}@practice.test>"
    message.set_content(TEXT)
    message.add_alternative(f"<p>{TEXT}</p>", subtype="html")
    return message


async def send_all(count: int, connections: int, port: int, ready: bytes | None) -> None:
    """Send *count* messages over *connections* connections."""
    numbers = list(range(count))

    async def worker() -> None:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False)
        await client.connect()
        while numbers:
            number = numbers.pop()
            if ready is None:
                await client.send_message(build(number))
            else:
                await client.sendmail(SENDER, [f"person-{number}@practice.test"], ready)
        await client.quit()

    await asyncio.gather(*(worker() for _ in range(connections)))


def main() -> None:
    """Measure once."""
    count, connections, port = (int(word) for word in sys.argv[1:4])
    ready = bytes(build(0)).replace(b"\n", b"\r\n") if len(sys.argv) > 4 else None
    started, cpu = time.perf_counter(), time.process_time()
    uvloop.run(send_all(count, connections, port, ready))
    seconds = time.perf_counter() - started
    print(json.dumps({"per_second": count / seconds, "cpu_us": (time.process_time() - cpu) / count * 1e6}))


if __name__ == "__main__":
    main()
