"""Which copy of a profile may go on: the one rule that keeps an old copy from rolling an encrypted session back.

A small record of the account (sealed, beside its cursor) says which volume's copy was opened last, and whether it was
given back whole. While it was not, only that copy may be opened again (docs/adr/0017).
"""

import asyncio
import contextlib
import socket

from pydantic import ValidationError
from servicekit.clock import utcnow
from servicekit.errors import Permanent

from channelkit.browser import packing, processes
from channelkit.browser.profile import Marker, ProfileFolder
from channelkit.browser.record import KEY, ProfileHost, Record, in_words, may_go_on

_LEFTOVER_SECONDS = 3.0
"""A browser whose service was killed is closed by Playwright's driver, gracefully; it gets so long for that."""


class ProfileElsewhere(Permanent):
    """The account's profile was last in use on another volume and not given back: a person has to decide."""

    def __init__(self, detail: str) -> None:
        super().__init__("profile_elsewhere", detail)


class KeptProfile:
    """One account's profile on this volume, between `take` and `release`."""

    def __init__(self, host: ProfileHost, folder: ProfileFolder) -> None:
        self._host, self.folder = host, folder
        self._marker = Marker(volume="")
        self._forgotten = False
        self.held = False
        """Between `take` and `release`."""
        self.in_use = False
        """A browser may run: the record says so, where somebody is logged in."""
        self.login = False
        """Somebody is, or was, logged in with it."""
        self.unclean = False
        """It was not closed gracefully the last time: its last seconds may be missing."""

    async def take(self, *, anew: bool = False) -> None:
        """Lock the folder, end what an earlier process left behind, and choose the copy to go on with.

        An imported session comes before any copy; one that is no profile is said in the log and changes nothing.
        *anew*: a person gave up what lies on another volume; begin empty.
        Raises ProfileBusy, ProfileElsewhere, BadProfile, SealError, Conflict, Unavailable; nothing is held then.
        """
        self.folder.lock()
        try:
            await self._end_leftovers()
            record = await self._give_up() if anew else await self._recall()
            imported = await self._host.imported_session()
            given = await self._given(imported) if imported else None
            marker = given or await self._choose(record, self.folder.marker())
            self.unclean = not marker.clean
            generation = max(marker.generation, record.generation if record else 0)
            self._marker = marker.model_copy(update={"generation": generation})
            self.folder.mark(self._marker)  # what the record is going to name must exist
            await self._use()
            if given and imported:
                await self._host.save_session(imported)  # from now on it is not offered again
        except BaseException:
            self.folder.unlock()
            raise
        self.held = True

    async def logged_in(self) -> None:
        """Somebody has logged in: from here on only this copy may go on. Raises Unavailable."""
        if self.login:
            return
        self.login = True
        try:
            await self._use()
        except BaseException:
            self.login = False  # not written down: the next call does it again
            raise

    async def closed(self) -> None:
        """Note a graceful close and, where somebody is logged in, put the profile into the vault.

        Raises TooLarge (the profile stays bound to this volume), Conflict, Unavailable.
        """
        self._mark(clean=True)
        self.in_use = False
        if self.login:
            await self._host.save_session(await asyncio.to_thread(packing.pack, self.folder.profile))
            await self._remember(clean=True)

    async def reopen(self) -> None:
        """Take the profile into use again after `closed`. Raises Unavailable."""
        if not self.in_use:
            await self._use()

    async def forget(self) -> None:
        """The platform logged it out: the profile is worthless here and everywhere. Raises Unavailable."""
        self.login = False
        self._marker = self._marker.model_copy(update={"generation": self._marker.generation + 1})
        await self._remember(clean=True)
        self.folder.fresh()
        self._forgotten = True

    def release(self) -> None:
        """Give the lock back; of what was forgotten, and not logged in to again, nothing stays on the volume."""
        self.held = self.in_use = False
        if self._forgotten and not self.login:
            self.folder.remove()
        else:
            self.folder.unlock()

    async def _end_leftovers(self) -> None:
        if not await processes.gone(self.folder.profile, _LEFTOVER_SECONDS):
            await asyncio.to_thread(processes.kill, self.folder.profile)
        self.folder.unlink_stale()

    async def _choose(self, record: Record | None, here: Marker | None) -> Marker:
        """Return the marker of the profile to go on with, which then lies in the folder."""
        self.login = bool(record and record.login)
        if record is None:
            return here or await self._from_vault() or self.folder.fresh()
        if here and may_go_on(record, here):
            return here
        if not record.login:
            return self.folder.fresh()
        if not record.clean:
            raise ProfileElsewhere(in_words(record))
        if (marker := await self._from_vault()) is None:
            raise ProfileElsewhere("the vault holds no copy of the account's profile: log in anew")
        return marker

    async def _from_vault(self) -> Marker | None:
        packed = await self._host.load_session()
        return await self._import(packed) if packed else None

    async def _given(self, imported: bytes) -> Marker | None:
        """Return the marker of an imported profile; None where a person uploaded something else."""
        try:
            return await self._import(imported)
        except packing.BadProfile as error:
            await self._host.refuse_import(error.detail)
            return None

    async def _import(self, packed: bytes) -> Marker:
        """Unpack first: a bad one leaves what lies here. A crash right after it does the same again."""
        await asyncio.to_thread(packing.unpack, packed, self.folder.profile)
        self.login = True
        return self.folder.another()

    async def _give_up(self) -> Record:
        """Make every copy there is an old one, and say so at once: the decision outlives this process."""
        record = await self._host.recall(KEY)
        with contextlib.suppress(ValidationError):
            last = Record.model_validate_json(record or b"").generation
            self._marker = self.folder.fresh().model_copy(update={"generation": last})
        await self.forget()
        return self._record(clean=True)

    async def _use(self) -> None:
        """Begin a generation: the record first, so that a marker is never ahead of it (a backup's record alone is behind)."""
        if self.login:
            following = self._marker.generation + 1
            self.folder.mark(self._marker.model_copy(update={"next": following}))
            self._marker = self._marker.model_copy(update={"generation": following})
            await self._remember(clean=False)
        self._mark(clean=False)
        self.in_use = True

    def _mark(self, *, clean: bool) -> None:
        self._marker = self._marker.model_copy(update={"clean": clean, "next": None})
        self.folder.mark(self._marker)

    async def _recall(self) -> Record | None:
        kept = await self._host.recall(KEY)
        try:
            return Record.model_validate_json(kept) if kept else None
        except ValidationError as error:
            raise ProfileElsewhere("the record of the account's profile cannot be read: log in anew") from error

    async def _remember(self, *, clean: bool) -> None:
        await self._host.remember(KEY, self._record(clean=clean).model_dump_json().encode())

    def _record(self, *, clean: bool) -> Record:
        return Record(
            volume=self._marker.volume, generation=self._marker.generation, clean=clean, login=self.login,
            holder=socket.gethostname(), at=utcnow(),
        )  # fmt: skip
