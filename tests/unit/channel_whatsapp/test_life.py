# ruff: noqa: ARG002, ARG005  # it stands in for a browser
"""A browser's life without one: what is started anew, and which pages cannot know all."""

import asyncio
from types import SimpleNamespace

import pytest
from channel_whatsapp.life import Life
from channel_whatsapp.page import PageRefused
from channel_whatsapp.settings import Settings
from playwright.async_api import Error as PlaywrightError

from tests.integration.channel_whatsapp.recorder import Recorder


class Browser:
    """An AccountBrowser whose closes are graceful, or not."""

    def __init__(self) -> None:
        self.unclean = False
        self.closes_badly = False
        self.calls = []

    def _running(self, call):
        self.calls.append(call)
        running = asyncio.get_running_loop().create_future()
        return SimpleNamespace(trouble=running, page=SimpleNamespace())

    async def open(self, begin):
        return self._running("open")

    async def restart(self):
        return self._running("restart")

    async def seal(self):
        self.unclean = self.closes_badly
        return self._running("seal")


class Over(Exception):  # noqa: N818
    pass


@pytest.fixture
def life(tmp_path):
    settings = Settings(profiles=tmp_path, restart_seconds=0.01)
    made = Life(Recorder(), settings, SimpleNamespace(settings=settings), None, lambda told: None)
    made.browser = Browser()
    return made


def tend(*happens):
    todo = list(happens)

    async def one(page):
        now = todo.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    return one


async def test_a_page_that_refuses_what_it_is_asked_is_started_anew(life):
    with pytest.raises(Over):
        await life.run(tend(PageRefused("TypeError", "x is undefined"), Over()))
    assert life.browser.calls == ["open", "restart"]
    assert "x is undefined" in life._host.reports[-1][1]


async def test_a_page_out_of_reach_is_said_in_words_for_a_person(life):
    away = PlaywrightError("Page.goto: net::ERR_NAME_NOT_RESOLVED at https://web.whatsapp.com/\nCall log: ...")
    with pytest.raises(Over):
        await life.run(tend(away, Over()))
    reason = life._host.reports[-1][1]
    assert reason.startswith("WhatsApp's page cannot be opened: net::ERR_NAME_NOT_RESOLVED")
    assert "Page.goto" not in reason
    assert "Call log" not in reason


@pytest.mark.parametrize(("badly", "unclean"), [(False, 1), (True, 2)])
async def test_a_browser_that_had_to_be_killed_to_be_sealed_may_have_forgotten(life, badly, unclean):
    life.browser.closes_badly = badly
    with pytest.raises(Over):
        await life.run(tend("seal", Over()))
    assert life.browser.calls == ["open", "seal"]
    assert (life.generation, life.unclean_generation) == (2, unclean)
