# ruff: noqa: ARG002  # it stands in for a page
"""What the inbox does with messages nobody can read, with a bus or a page that is away, and with much at once."""

import asyncio
import contextlib
from types import SimpleNamespace

import pytest
from channel_whatsapp import events
from channel_whatsapp import inbox as module
from channel_whatsapp.inbox import Inbox
from channel_whatsapp.page import PageRefused, WhatsAppPage
from channel_whatsapp.peers import Peers
from contracts.inbox import Deleted, Edited, Received
from servicekit.errors import Permanent, Unavailable

from tests.integration.channel_whatsapp.recorder import Recorder
from tests.support.recorder import eventually

SITI = "628123@c.us"


def told(n, **about):
    plain = {
        "id": f"M{n}", "key": f"false_{SITI}_M{n}", "fromMe": False, "chat": SITI, "chatPhone": "628123",
        "author": SITI, "authorPhone": "628123", "name": "Siti", "at": 2_000_000_000 + n, "type": "chat",
        "body": f"pesan {n}", "caption": "", "media": False, "mimetype": "", "filename": "", "size": 0, "quoted": "",
        "ack": 0, "place": None, "card": "", "ours": False, "notice": False,
    }  # fmt: skip
    return {**plain, **about}


def new(n, **about):
    return {"kind": "message", "message": told(n, **about)}


class Page:
    """A page whose chats hold what a test puts there."""

    def __init__(self, **chats) -> None:
        self.chats = chats
        self.asked: list[int] = []

    async def moved(self, at):
        self.asked.append(at)
        return list(self.chats)

    async def since(self, chat, at, at_once):
        if isinstance(found := self.chats[chat], Exception):
            raise found
        return [one for one in found if one["at"] >= at]


class Host(Recorder):
    def __init__(self, **settings) -> None:
        super().__init__(**settings)
        self.dead: list[bytes] = []
        self.trouble: list[Exception] = []

    async def publish(self, event, event_id):
        if self.trouble:
            raise self.trouble.pop(0)
        await super().publish(event, event_id)

    async def dead_letter(self, raw, error, event_id):
        self.dead.append(raw)


def opened(host):
    account = SimpleNamespace(host=host, peers=Peers(host), inbound_limit_bytes=1000, groups=False, identity="+628")
    return Inbox(account)


@contextlib.asynccontextmanager
async def reading(inbox, page):
    task = asyncio.create_task(inbox.run(page))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


@pytest.fixture
def host():
    return Host()


def texts(host):
    return [event.text for event in host.received()]


NAN = float("nan")


@pytest.mark.parametrize("strange", [{"size": NAN}, {"at": NAN}, {"at": 10**18}, {"broken": "TypeError"}])
async def test_a_message_nobody_can_read_is_announced_as_such_and_stops_no_other(host, strange):
    inbox = opened(host)
    for one in (new(1), new(2, **strange), new(3)):
        inbox.hear(one)
    async with reading(inbox, Page()):
        await eventually(lambda: len(host.received()) == 3)
    [stub] = [event for event in host.received() if event.stub]
    assert (stub.platform_id, stub.conversation, stub.stub, stub.text) == ("M2", "+628123", "unreadable", "")
    assert len(host.dead) == 1
    assert b"M2" in host.dead[0]


@pytest.mark.parametrize("strange", [{"size": NAN}, {"broken": "TypeError"}])
async def test_so_is_one_found_while_catching_up(host, strange):
    host.positions = {"at": "2000000000"}
    async with reading(opened(host), Page(siti=[told(1), told(2, **strange), told(3)])):
        await eventually(lambda: "M3" in host.positions.get("recent", ""))
    assert len(host.received()) == 3
    assert [event.platform_id for event in host.received() if event.stub] == ["M2"]
    async with reading(opened(host), page := Page(siti=[told(2, **strange)])):
        await eventually(lambda: page.asked)
    assert len(host.dead) == 1


async def test_what_the_kit_refuses_for_good_does_not_come_for_ever(host):
    inbox = opened(host)
    host.trouble = [Permanent("too_large")]
    inbox.hear({"kind": "edited", "message": told(1, body="baru")})
    inbox.hear(new(2))
    async with reading(inbox, Page()):
        await eventually(lambda: texts(host)[-1:] == ["pesan 2"])
    assert len(host.dead) == 1


async def test_what_cannot_be_kept_now_is_read_again(host):
    inbox = opened(host)
    host.trouble = [Unavailable("the media store is away")]
    inbox.hear(new(1))
    async with reading(inbox, Page()) as task:
        with pytest.raises(Unavailable):
            await task
    assert inbox.busy
    async with reading(inbox, Page()):
        await eventually(lambda: texts(host) == ["pesan 1"])
        await eventually(lambda: not inbox.busy)
    assert not host.dead


async def test_a_chat_that_cannot_be_looked_through_is_said_and_holds_up_no_other(host):
    host.positions = {"at": "2000000000"}
    async with reading(opened(host), Page(odd=PageRefused("TypeError", "x"), siti=[told(1)])):
        await eventually(lambda: texts(host) == ["pesan 1"])
    assert any("TypeError" in line for line in host.lines)


async def test_more_than_fits_into_memory_is_left_to_the_page_and_read_from_there(host, monkeypatch):
    monkeypatch.setattr(module, "_WAITING", 3)
    host.positions = {"at": "2000000000"}
    inbox, page = opened(host), Page(siti=[])
    for n in range(1, 11):
        inbox.hear(new(n))
        page.chats["siti"].append(told(n))
    assert inbox._told.qsize() == 3
    page.chats, full = {}, page.chats
    async with reading(inbox, page):
        page.chats = full
        await eventually(lambda: len(host.received()) == 10)
        inbox.hear(new(11))
        await eventually(lambda: len(host.received()) == 11)
    assert sorted(texts(host), key=lambda text: int(text.split()[1])) == [f"pesan {n}" for n in range(1, 12)]
    assert len(host.published) == len(set(host.published))


async def test_a_page_that_loaded_itself_anew_is_looked_through_again(host):
    inbox, page = opened(host), Page(siti=[])
    inbox.hear({"kind": "loaded"})  # of the first time
    async with reading(inbox, page):
        await eventually(lambda: page.asked and not inbox.busy)
        page.chats["siti"].append(told(1))
        assert len(page.asked) == 1
        inbox.hear({"kind": "loaded"})
        await eventually(lambda: texts(host) == ["pesan 1"])


async def test_a_new_accounts_past_is_not_imported_by_a_restart_either(host):
    async with reading(opened(host), page := Page()):
        await eventually(lambda: page.asked)
    first = int(host.positions["at"])
    async with reading(opened(host), page := Page()):
        await eventually(lambda: page.asked)
    assert page.asked == [first]


async def test_the_beginning_is_noted_before_anything_is_read(host):
    silent = SimpleNamespace(moved=asyncio.sleep)  # for as many seconds as it is asked about: the process dies first
    async with reading(opened(host), silent):
        await eventually(lambda: host.positions.get("at"))


async def test_what_was_taken_back_while_nobody_was_there_is_marked_and_never_a_message(host):
    host.positions = {"at": "2000000000", "recent": "M1"}
    gone = [told(n, type="revoked", body="") for n in (1, 2)]
    async with reading(opened(host), Page(siti=[*gone, told(3)])):
        await eventually(lambda: texts(host) == ["pesan 3"])
    [deleted] = [event for event in host.events.values() if isinstance(event, Deleted)]
    assert deleted.platform_ids == ["M1"]
    assert not [event for event in host.events.values() if isinstance(event, Edited)]
    assert all(isinstance(event, Received | Deleted) for event in host.events.values())


@pytest.mark.parametrize(("fails", "stub"), [(2, None), (3, "unreadable")])
async def test_a_file_that_does_not_come_at_once_is_asked_for_again(host, monkeypatch, fails, stub):
    monkeypatch.setattr(events, "_DOWNLOAD_AGAIN_SECONDS", 0.01)
    page, left = Page(), [PageRefused("error", "not now")] * fails

    async def download(key, limit):
        if left:
            raise left.pop()
        return b"GIF89a", "image/gif"

    page.download = download
    inbox = opened(host)
    inbox.hear(new(1, media=True, size=6))
    async with reading(inbox, page):
        await eventually(host.received)
    [event] = host.received()
    assert (event.stub, len(event.attachments)) == (stub, 0 if stub else 1)


async def test_a_file_that_never_comes_does_not_take_the_page_with_it():
    page = WhatsAppPage(SimpleNamespace(evaluate=lambda *_: asyncio.sleep(60)), timeout=0.01)
    with pytest.raises(PageRefused, match="timeout"):
        await page.download("key", 10)
