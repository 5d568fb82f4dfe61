"""What comes in: once each, under the address we know the person by, also what came while nobody was there."""

import pytest
from contracts.inbox import Deleted, Edited

from tests.integration.channel_whatsapp.conftest import OWN, READY, SHARED
from tests.integration.channel_whatsapp.recorder import Recorder
from tests.support.recorder import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
SITI, BUDI = "+628120000201", "+628120000202"


async def one(host, text):
    await eventually(lambda: host.received(text))
    [event] = host.received(text)
    return event


async def test_a_message_names_its_sender_and_conversation(linked, whatsapp):
    _, host = linked
    await whatsapp.put_number(SITI, name="Siti")
    written = await whatsapp.write(SITI, SHARED, "Ada stok?")
    event = await one(host, "Ada stok?")
    assert (event.sender.address, event.sender.name, event.conversation) == (SITI, "Siti", SITI)
    assert event.platform_id == written["id"]
    assert not event.own


async def test_an_answer_from_a_hidden_id_belongs_to_the_number_we_wrote_to(linked, whatsapp, attempt):
    session, host = linked
    out = attempt("Halo", to=BUDI)
    await session.sender().send(out, lambda: None)
    await whatsapp.write(BUDI, SHARED, "Ya, mau", quotes=out.parts_done[0])
    event = await one(host, "Ya, mau")
    assert event.conversation == BUDI
    assert event.references == out.parts_done
    assert any(value == BUDI.encode() for value in host.memos.values())


async def test_a_file_comes_with_its_message_and_a_large_one_is_announced(linked, whatsapp):
    session, host = linked
    await whatsapp.write(
        SITI, SHARED, "ini bukti", media=b"%PDF" + bytes(900), mimetype="application/pdf", filename="b.pdf"
    )
    event = await one(host, "ini bukti")
    [file] = event.attachments
    assert (file.filename, file.content_type, file.size) == ("b.pdf", "application/pdf", 904)
    assert host.media[file.object].startswith(b"%PDF")
    session.inbound_limit_bytes, limit = 100, session.inbound_limit_bytes
    try:
        await whatsapp.write(SITI, SHARED, "terlalu besar", media=bytes(900), mimetype="image/png", type="image")
        event = await one(host, "terlalu besar")
        assert (event.attachments, event.stub) == ([], "too_large")
    finally:
        session.inbound_limit_bytes = limit


async def test_what_the_owner_writes_on_the_phone_is_own_and_what_we_send_is_not_announced(linked, whatsapp, attempt):
    session, host = linked
    await session.sender().send(attempt("dari Kurir", to=SITI), lambda: None)
    await whatsapp.write(SHARED, SITI, "dari HP")
    event = await one(host, "dari HP")
    assert (event.own, event.conversation, event.sender.address) == (True, SITI, SHARED)
    assert not host.received("dari Kurir")


async def test_groups_are_ignored_unless_switched_on(linked, whatsapp):
    session, host = linked
    group = "120363000000000001@g.us"
    await whatsapp.put_group(group, [SHARED, SITI], "Tetangga")
    await whatsapp.write(SITI, group, "di grup, diam")
    await whatsapp.write(SITI, SHARED, "setelah grup")
    await one(host, "setelah grup")
    assert not host.received("di grup, diam")
    session.groups = True
    try:
        await whatsapp.write(SITI, group, "di grup, masuk")
        event = await one(host, "di grup, masuk")
        assert (event.conversation, event.sender.address) == (group, SITI)
    finally:
        session.groups = False


async def test_edits_and_deletions_follow_their_message(linked, whatsapp):
    _, host = linked
    written = await whatsapp.write(SITI, SHARED, "pesan 2")
    await one(host, "pesan 2")
    await whatsapp.edit(written["id"], "pesan 3")
    await eventually(lambda: [e for e in host.events.values() if isinstance(e, Edited) and e.text == "pesan 3"])
    await whatsapp.revoke(written["id"])
    [gone] = await eventually(lambda: [e for e in host.events.values() if isinstance(e, Deleted)])
    assert (gone.platform_ids, gone.conversation) == ([written["id"]], SITI)


async def test_what_came_while_nobody_was_there_comes_once(link, whatsapp, attempt):
    host = Recorder()
    async with link(host) as session:
        await whatsapp.write(SITI, OWN, "pertama")
        await one(host, "pertama")
        out = attempt("dikirim", to=BUDI)
        await session.sender().send(out, lambda: None)
    await whatsapp.write(SITI, OWN, "kedua", media=b"GIF89a", mimetype="image/gif", type="image")
    await whatsapp.write(OWN, SITI, "dari HP sementara itu")
    await whatsapp.ack(out.parts_done[0], 3)
    async with link(host):
        assert len((await one(host, "kedua")).attachments) == 1
        assert (await one(host, "dari HP sementara itu")).own
        await eventually(lambda: [e for e in host.events.values() if type(e).__name__ == "Read"])
        await whatsapp.write(SITI, OWN, "ketiga")
        await one(host, "ketiga")
    assert len(host.published) == len(set(host.published))
    assert not host.received("dikirim")
    assert host.status is READY


async def test_missed_messages_are_read_to_the_cursor_however_many_a_chat_has(link, whatsapp, monkeypatch):
    monkeypatch.setattr("channel_whatsapp.inbox._AT_ONCE", 10)
    host = Recorder()
    async with link(host):
        before = await eventually(lambda: host.positions)
        for n in range(37):
            await whatsapp.write(SITI, OWN, f"terlewat {n}")
        await eventually(lambda: len(host.received("terlewat")) == 37)
    host.events.clear()
    host.published.clear()
    host.positions = before  # as if the process had died before it published any of them
    async with link(host):
        await eventually(lambda: len(host.received("terlewat")) == 37)
    assert [event.text for event in host.received("terlewat")] == [f"terlewat {n}" for n in range(37)]
    assert len(host.published) == len(set(host.published))
