"""Whatever happens on three volumes, no opening ever sees an older profile than the one before left behind."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from channelkit.browser import processes
from channelkit.browser.keeping import KeptProfile, ProfileElsewhere
from channelkit.browser.profile import ProfileFolder
from hypothesis import given, settings
from hypothesis import strategies as st
from servicekit.errors import Unavailable

from tests.unit.channelkit.browser.test_keeping import Host, read, write

VOLUMES = st.sampled_from(["one", "two", "three"])
ENDS = st.sampled_from(["close", "crash", "seal and crash", "close, the vault away", "close, an answer lost"])
TROUBLES = st.sampled_from([None, None, None, True, "but it writes"])
STEPS = st.lists(st.tuples(VOLUMES, TROUBLES, ENDS), max_size=12)


class World:
    """The account on its volumes; `written` is what the last opening left, `at` the volume it was on."""

    def __init__(self, folder) -> None:
        self.folder, self.host, self.written, self.at = Path(folder), Host(), 0, None

    async def step(self, volume, trouble, end):
        kept = KeptProfile(self.host, ProfileFolder(self.folder / volume, "acc"))
        self.host.away = trouble
        try:
            await kept.take()
        except Unavailable:
            assert trouble
            self.at = volume if trouble == "but it writes" else self.at
            return
        except ProfileElsewhere:
            assert volume != self.at, "where it was last, it may always go on"
            return
        finally:
            self.host.away = False
        if self.written:
            assert (kept.login, read(kept)) == (True, str(self.written))
        self.written, self.at = self.written + 1, volume
        write(kept, str(self.written))
        await kept.logged_in()
        await self._end(kept, end)
        kept.release()

    async def _end(self, kept, end):
        if end == "crash":
            return
        self.host.away = {"close, the vault away": True, "close, an answer lost": "but it writes"}.get(end, False)
        try:
            await kept.closed()
            if end == "seal and crash":
                await kept.reopen()
                self.written += 1
                write(kept, str(self.written))
        except Unavailable:
            assert self.host.away
        finally:
            self.host.away = False


@pytest.fixture(scope="module", autouse=True)
def quick():
    """No look through all processes, no waiting for the disk: they would take longer than everything else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "browsers_of", lambda _: [])
        patch.setattr(os, "fsync", lambda _: None)
        yield


@settings(max_examples=60)
@given(STEPS)
def test_no_opening_sees_an_old_profile(steps):
    async def play():
        with tempfile.TemporaryDirectory() as folder:
            world = World(folder)
            for step in steps:
                await world.step(*step)

    asyncio.run(play())
