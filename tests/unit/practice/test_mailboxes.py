"""The practice folders tell a client that idles everything it has not been told."""

import asyncio
from datetime import UTC, datetime

import pytest
from practice.mail.mailboxes import QuietFolders
from pymap.concurrent import Event
from pymap.flags import PermanentFlags, SessionFlags
from pymap.parsing.message import AppendMessage
from pymap.selected import SelectedMailbox


async def test_idle_tells_mail_that_came_after_the_last_answer_and_before_it_waits():
    folder = await QuietFolders().get_mailbox("INBOX")
    view = SelectedMailbox(folder.mailbox_id, True, PermanentFlags([]), SessionFlags([]))  # noqa: FBT003
    view = await folder.update_selected(view)
    with pytest.raises(TimeoutError):  # nothing has come: it waits
        await asyncio.wait_for(folder.update_selected(view, wait_on=Event.for_asyncio()), 0.1)
    await folder.append(AppendMessage(b"Subject: s\r\n\r\nt", datetime.now(UTC), frozenset()), recent=False)
    told = await asyncio.wait_for(folder.update_selected(view, wait_on=Event.for_asyncio()), 1)
    assert told.messages.max_uid == 101
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(folder.update_selected(told, wait_on=Event.for_asyncio()), 0.1)
