"""Uploads outlive their senders, and never end them."""

import asyncio

import pytest
from channel_telegram.media import StillUploading, Uploads
from contracts.commands import Attachment


def file(name):
    return Attachment(object=name, filename=name, content_type="application/pdf", size=1)


async def test_an_upload_that_had_to_make_room_does_not_cancel_who_waits_for_it():
    uploads, never = Uploads(kept=1), asyncio.Event()

    async def upload(attachment, _kind):
        await (never.wait() if attachment.filename == "a.pdf" else asyncio.sleep(0))
        return attachment.filename

    waiting = asyncio.create_task(uploads.get(file("a.pdf"), upload, 30))
    await asyncio.sleep(0)
    assert await uploads.get(file("b.pdf"), upload, 30) == "b.pdf"
    with pytest.raises(StillUploading):
        await waiting
    never.set()
    assert await uploads.get(file("a.pdf"), upload, 30) == "a.pdf"
