"""The worker switch for all: one document, projected as `_all` into each channel's bucket."""

from contracts.state import WorkerSwitch
from servicekit.mongo import Collection, Database

_ID = "all"


class SwitchStore:
    """Keeps the switch; on until somebody turns it off."""

    def __init__(self, db: Database) -> None:
        """Use the collection `worker_switch`."""
        self._switch: Collection = db["worker_switch"]

    async def get(self) -> WorkerSwitch:
        """Return the switch."""
        found = await self._switch.find_one({"_id": _ID})
        return WorkerSwitch(worker=found["worker"], version=found["version"]) if found else WorkerSwitch(worker=True)

    async def turn(self, *, on: bool) -> WorkerSwitch:
        """Turn the switch and return it."""
        await self._switch.update_one({"_id": _ID}, {"$setOnInsert": {"worker": True, "version": 1}}, upsert=True)
        await self._switch.update_one({"_id": _ID, "worker": not on}, {"$set": {"worker": on}, "$inc": {"version": 1}})
        return await self.get()

    async def overtake(self, version: int) -> None:
        """Raise the version past the bus's: the store was restored from a backup, and it decides."""
        await self._switch.update_one({"_id": _ID}, {"$setOnInsert": {"worker": True, "version": 1}}, upsert=True)
        await self._switch.update_one({"_id": _ID, "version": {"$lte": version}}, {"$set": {"version": version + 1}})
