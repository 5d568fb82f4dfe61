"""What an earlier holder sent is known once the attempt is claimed: WhatsApp would deliver it a second time."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from channel_whatsapp import sender
from channel_whatsapp.page import Handed
from channel_whatsapp.parts import message_id
from channel_whatsapp.sender import WhatsAppSender
from contracts.commands import Attachment, Content, Recipient, SendMessage

from tests.support.recorder import Resumed

real_sleep = asyncio.sleep


class Page:
    """A page that takes everything."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.held: set[str] = set()
        self.typed: list[float] = []

    async def take_in(self, _file):
        self.held.add("t1")
        return "t1"

    async def typing(self, _wid, seconds):
        self.typed.append(seconds)

    async def forget(self, token):
        self.held.discard(token)

    async def send_text(self, _wid, _message_id, text):
        self.sent.append(text)
        return Handed(result="OK", ack=1)

    async def send_file(self, _wid, _message_id, token, _file, text):
        self.held.discard(token)
        self.sent.append(f"file {text}")
        return Handed(result="OK", ack=1)


def account_on(page):
    async def answering(answer, *_):
        return answer

    life = SimpleNamespace(sending=asyncio.Lock(), ready_page=lambda _: answering(page))
    peers = SimpleNamespace(reach=lambda *_: answering("628@c.us"))
    host = SimpleNamespace(get_media=lambda _: answering(b"jpg"))
    handed: list[str] = []
    fates = SimpleNamespace(handed=handed.append, noted=handed)
    return SimpleNamespace(life=life, peers=peers, host=host, typing_seconds=0.0, fates=fates)


def a_message(*bubbles, attachments=()):
    return SendMessage(
        id="r", source="campaigns", account_id="acc", row="r", batch="c.1", to=Recipient(address="+628123456789"),
        not_after=datetime.now(UTC) + timedelta(hours=1),
        content=Content(text="a", bubbles=list(bubbles), attachments=list(attachments)),
    )  # fmt: skip


async def test_typing_leaves_time_for_sending_however_many_bubbles(monkeypatch):
    monkeypatch.setattr(sender, "asyncio", SimpleNamespace(sleep=lambda _: real_sleep(0), shield=asyncio.shield))
    account = account_on(page := Page())
    account.typing_seconds = 15.0
    await WhatsAppSender(account).send(Resumed(a_message(*["b" * 400] * 9)), lambda: None)
    assert len(page.typed) == 10
    assert sum(page.typed) <= 20


async def test_a_bubble_cut_off_before_it_left_is_known_not_to_have():
    account = account_on(page := Page())
    typing = asyncio.Event()

    async def endlessly(_wid, _seconds):
        if page.sent:
            typing.set()
            await asyncio.Event().wait()

    page.typing, account.typing_seconds = endlessly, 0.001
    out = Resumed(a_message("b", "c"))
    sending = asyncio.create_task(WhatsAppSender(account).send(out, lambda: None))
    await typing.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert set(account.fates.noted) == {message_id(out.platform_key(0)), message_id(out.platform_key(1))}


@pytest.mark.parametrize(
    ("before", "sent"), [([], ["file a", "b", "c"]), (["x"], ["b", "c"]), (["x", "y"], ["c"]), (["x", "y", "z"], [])]
)
async def test_bubbles_an_earlier_holder_sent_are_not_sent_again(before, sent):
    page = Page()
    file = Attachment(object="o", filename="foto.jpg", content_type="image/jpeg", size=3)
    command = a_message("b", "c", attachments=[file])
    ids = await WhatsAppSender(account_on(page)).send(Resumed(command, before=before), lambda: None)
    assert page.sent == sent
    assert list(ids)[: len(before)] == before
    assert len(ids) == 3
    assert not page.held
