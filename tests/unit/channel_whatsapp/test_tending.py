# ruff: noqa: FBT003  # what a page says of itself is a row of values
"""What a page's state says of an account: ready only with a connection, logged out only where a code is shown."""

import asyncio
from types import SimpleNamespace

import pytest
from channel_whatsapp import login
from channel_whatsapp.messages import State
from channel_whatsapp.page import PageRefused
from channel_whatsapp.tending import Tending
from channelkit.showing import MAX_BYTES
from contracts.state import SessionStatus

from tests.integration.channel_whatsapp.recorder import Recorder

READY, DEGRADED = SessionStatus.READY, SessionStatus.DEGRADED
ONLINE = State(True, "MAIN", "NORMAL", "628123@c.us")
OFFLINE = State(True, "MAIN", "OFFLINE", "628123@c.us")
QR = State(False, "QR", "PAIRING", "")


class Page:
    lacks = ()
    code = ""

    async def missing(self):
        return self.lacks

    async def qr(self):
        if isinstance(self.code, Exception):
            raise self.code
        return self.code

    async def words(self):
        return "type ABCD-1234 on the phone"


class Life:
    def __init__(self) -> None:
        self.page = None
        self.browser = SimpleNamespace(logged_in=self.worked_out, kept=SimpleNamespace(login=False))
        self.usable = lambda page: setattr(self, "page", page)
        self.worked = lambda: None

    async def worked_out(self):
        pass


@pytest.fixture
def account():
    return SimpleNamespace(
        host=Recorder(), life=Life(), settings=SimpleNamespace(), identity="", loads=1, account=SimpleNamespace()
    )


async def test_it_is_ready_only_once_the_page_is_connected(account):
    tending = Tending(account, page := Page())
    await tending._enter(OFFLINE)
    assert (account.host.status, account.life.page) == (DEGRADED, None)
    assert READY not in [status for status, _ in account.host.reports]
    await tending._connected(online=True)
    assert (account.host.status, account.life.page) == (READY, page)


async def test_a_page_that_loaded_itself_anew_is_looked_through_for_what_we_use(account):
    tending = Tending(account, page := Page())
    await tending._enter(ONLINE)
    account.loads += 1
    page.lacks = ["chat.find"]
    await tending._connected(online=True)
    assert account.host.status is DEGRADED
    assert "chat.find" in account.host.reports[-1][1]
    await account.host.report(READY)  # as the kit does after a silence
    await tending._connected(online=True)
    assert account.host.status is DEGRADED


@pytest.mark.parametrize(("code", "out"), [("", False), (PageRefused("TypeError", ""), False), ("2@abc", True)])
async def test_a_login_is_given_up_only_where_a_code_is_shown(account, code, out):
    page = Page()
    page.code = code
    assert await Tending(account, page)._asks_for_a_login(QR) is out
    assert not await Tending(account, page)._asks_for_a_login(ONLINE)


async def test_a_picture_too_large_to_be_shown_is_left_out(account):
    account.account.login = "qr"

    async def screenshot():
        return bytes(MAX_BYTES + 1)

    account.screenshot = screenshot
    await login.ask_person(account, Page(), "strange")
    assert (account.host.status, account.host.shown) == (SessionStatus.AWAITING_PERSON, None)


@pytest.mark.parametrize(("way", "kept"), [("qr", True), ("pairing", False)])
async def test_a_pairing_code_on_the_screen_is_no_words_of_a_report(account, way, kept):
    account.account.login = way
    account.screenshot = lambda: asyncio.sleep(0)
    await login.ask_person(account, Page(), "strange")
    assert ("ABCD" in account.host.reports[-1][1]) is kept
