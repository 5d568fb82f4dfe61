"""Starts nats-server anew that answers but writes nothing more: a stream whose write failed on a full disk stays so."""

import asyncio
import contextlib

import nats
import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors

from kurir.processes import Child

STREAM = "KURIR_UP"
"""The supervisor's own: one empty message, written again and again. No service knows it."""
SUBJECT = "kurir.up.written"
LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 5.0
TIMES = 3
"""Writes in a row without an answer, while the server itself answers, before it is killed."""


async def watch(bus: Child, url: str) -> None:
    """Kill the server whenever it cannot write; its own watcher starts it again, until the disk has room."""
    connection = await nats.connect(url, name="kurir up", max_reconnect_attempts=-1, error_cb=_seen_anyway)
    js, failed = connection.jetstream(timeout=PATIENCE_SECONDS), 0
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            failed = 0 if await _writes(js) or not await _answers(connection) else failed + 1
            if failed >= TIMES:
                bus.note("answers, but writes nothing more (is the disk full?): killed, to be started anew")
                bus.kill()
                failed = 0
    finally:
        await connection.close()


async def _writes(js: JetStreamContext) -> bool:
    """Return whether a write is answered, be it by a refusal: a limit of ours is no reason to kill."""
    try:
        await js.publish(SUBJECT, b"", timeout=PATIENCE_SECONDS)
    except js_errors.NoStreamResponseError:
        return await _made(js)
    except js_errors.APIError:
        return True
    except (nats.errors.Error, TimeoutError, OSError):
        return False
    return True


async def _made(js: JetStreamContext) -> bool:
    """Make the stream; False where JetStream itself is off, as it is once the server has found its disk full."""
    try:
        await js.add_stream(name=STREAM, subjects=[SUBJECT], max_msgs=1, storage=api.StorageType.FILE)
    except (js_errors.Error, nats.errors.Error, TimeoutError, OSError):
        return False
    return True


async def _answers(connection: Client) -> bool:
    """Return whether the server is there: one that is down or frozen is left to its own watcher."""
    with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
        if connection.is_connected:
            await connection.flush(timeout=2)
            return True
    return False


async def _seen_anyway(_: Exception) -> None:
    """Keep nats-py from printing what the looks find by themselves."""
