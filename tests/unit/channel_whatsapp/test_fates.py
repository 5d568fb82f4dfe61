# ruff: noqa: FBT003, ARG002  # what a page knows is a row of values; it stands in for a session
"""What may be concluded from what a page knows of a message."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from channel_whatsapp import fates
from channel_whatsapp.fates import Fates
from channel_whatsapp.page import Known, PageGone
from channel_whatsapp.parts import message_id
from contracts.commands import SendMessage

COMMAND = SendMessage.model_validate(
    {
        "id": "c",
        "source": "campaigns",
        "account_id": "acc",
        "row": "row",
        "batch": "b.1",
        "not_after": datetime.now(UTC),
        "to": {"address": "+628123"},
        "content": {"text": "x"},
    }
)
KEY = "0123456789abcdef" * 2
ID = message_id(KEY)
IN_THIS_SESSION, BEFORE_IT = 1, 0


class Page:
    def __init__(self, *known) -> None:
        self.known_next = list(known)

    async def known(self, wid, wanted):
        assert (wid, wanted) == ("628123@c.us", ID)
        return self.known_next.pop(0) if len(self.known_next) > 1 else self.known_next[0]


class Life:
    generation, unclean_generation = 1, 1

    def __init__(self, page) -> None:
        self.page = page

    async def ready_page(self, within_seconds):
        if self.page is None:
            raise PageGone("it is starting")
        return self.page


async def reach(page, address):
    return f"{address[1:]}@c.us"


async def asked(*known, handed=IN_THIS_SESSION, broke=False, seconds=0.2):
    life = Life(Page(*known) if known else None)
    made = Fates(life, SimpleNamespace(reach=reach))
    if handed:
        made.handed(ID)
    if broke:
        life.generation = life.unclean_generation = 2
    return await made.was_sent(KEY, COMMAND, seconds)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fates, "_ASK_SECONDS", 0.01)


@pytest.mark.parametrize("known", [Known(True, 1, ""), Known(True, 3, "answered"), Known(True, 2, "handed")])
async def test_what_the_server_has_was_sent_whoever_sent_it(known):
    assert await asked(known, handed=BEFORE_IT, broke=True) == ID


async def test_what_waits_in_the_page_is_waited_for():
    assert await asked(Known(False, 0, "handed"), Known(True, 0, "handed"), Known(True, 1, "answered")) == ID
    assert await asked(Known(True, 0, "handed")) is None


@pytest.mark.parametrize("way", ["", "taken_back"])
async def test_what_never_reached_whatsapps_function_may_be_sent_again(way):
    assert await asked(Known(False, 0, way)) is False


async def test_what_the_page_may_have_forgotten_is_in_doubt():
    assert await asked(Known(False, 0, ""), handed=BEFORE_IT) is None
    assert await asked(Known(False, 0, ""), broke=True) is None
    assert await asked(Known(False, 0, "answered")) is None
    assert await asked(Known(False, 0, "reloaded")) is None
    assert await asked(Known(True, -1, "answered")) is None
    assert await asked() is None
