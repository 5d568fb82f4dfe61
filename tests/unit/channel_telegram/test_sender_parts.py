"""What an earlier holder sent is known once the attempt is claimed, and not sent again."""

from datetime import UTC, datetime, timedelta

import pytest
from channel_telegram import sender as module
from channel_telegram.model import Peer
from channel_telegram.sender import TelegramSender
from channel_telegram.sent import SentIds
from contracts.commands import Content, Recipient, SendMessage

from tests.support.recorder import Resumed


class Account:
    """A session that knows everybody."""

    connection = object()

    def __init__(self) -> None:
        self.sent = SentIds()

    async def peer(self, to, *, anew=False):  # noqa: ARG002
        return Peer(7, 1)


@pytest.mark.parametrize(("before", "sent"), [([], ["a", "b", "c"]), (["1"], ["b", "c"]), (["1", "2"], ["c"])])
async def test_bubbles_an_earlier_holder_sent_are_not_sent_again(monkeypatch, before, sent):
    texts = []

    async def send_text(_connection, _peer, body, _key, _quoted):
        texts.append(body.text)
        return 100 + len(texts)

    monkeypatch.setattr(module.messages, "send_text", send_text)
    command = SendMessage(
        id="r", source="campaigns", account_id="acc", row="r", batch="c.1", to=Recipient(address="+628123456789"),
        not_after=datetime.now(UTC) + timedelta(hours=1), content=Content(text="a", bubbles=["b", "c"]),
    )  # fmt: skip
    account = Account()
    ids = await TelegramSender(account).send(Resumed(command, before=before), lambda: None)
    assert texts == sent
    assert ids == [*before, *(str(101 + n) for n in range(len(sent)))]
    assert all(int(one) in account.sent for one in ids)
