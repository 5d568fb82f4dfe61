"""Starts a store anew that answers but can do nothing: WiredTiger gives up for good when a write fails on a full disk."""

import asyncio

from servicekit.errors import Unavailable
from servicekit.mongo import Database, connect
from servicekit.mongo_errors import BROKEN, REFUSES
from servicekit.settings import ServiceSettings

from kurir.processes import Child

LOOK_SECONDS = 2.0
TIMES = 3
"""Looks in a row that find it broken before it is killed: a store that is only slow or away is left alone."""


async def watch(store: Child, url: str) -> None:
    """Kill the store whenever it is broken; its own watcher starts it again, until the disk has room."""
    database = connect(ServiceSettings(service="kurir-store-watch", mongo_url=url))
    worked, broken = False, 0
    try:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            trouble = await _trouble(database)
            worked = worked or not trouble
            # who was let in before and no longer is: the store cannot even read its users
            broken = broken + 1 if trouble == BROKEN or (worked and trouble == REFUSES) else 0
            if broken >= TIMES:
                store.note("can neither read nor write (is the disk full?): killed, to be started anew")
                store.kill()
                broken = 0
    finally:
        database.close()


async def _trouble(database: Database) -> str:
    try:
        await database.ping()
    except Unavailable as error:
        return error.reason
    return ""
