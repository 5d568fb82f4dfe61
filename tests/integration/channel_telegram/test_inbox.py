"""What comes in: live, after breaks and restarts, each once; and what must never be shown."""

import asyncio
import logging

import pytest
from contracts.commands import Thread
from contracts.ids import inbound_id
from contracts.inbox import Received

from tests.integration.channel_telegram.conftest import log_in
from tests.integration.channel_telegram.recorder import Recorder, attempt, send
from tests.support.recorder import eventually


async def arrives(host, *texts):
    """Wait until exactly these messages were announced, in this order."""
    await eventually(lambda: len(host.texts()) >= len(texts), what=f"{texts} ({host.texts()})")
    assert host.texts() == list(texts)


async def settled(host):
    """Wait until the cursor has followed everything announced."""
    before = host.saves
    await eventually(lambda: host.saves > before or not host.events, what="the cursor")


async def test_a_message_is_announced_with_whom_and_what(telegram, signed_in, me, to):
    _, host = signed_in
    written = await telegram.client.write(to, me, html="Halo <b>kak</b> 😀 <a href='https://a.test'>ini</a>")
    await arrives(host, "Halo kak 😀 ini")
    [event] = host.of(Received)
    user = await telegram.client.user(me)
    assert event.html == 'Halo <b>kak</b> 😀 <a href="https://a.test">ini</a>'
    assert (event.platform_id, event.own, event.stub) == (str(written["to_id"]), False, None)
    assert event.id == inbound_id("acc", f"{user['id']}.{event.platform_id}")
    assert (event.sender.name, event.to[0].address) == ("Pelanggan", me)
    handle = (await telegram.client.user(to))["username"].lower()
    assert event.conversation in {to, handle}


async def test_the_conversation_is_named_as_we_wrote_and_can_be_answered(telegram, signed_in, me, to):
    session, host = signed_in
    handle = (await telegram.client.user(to))["username"]
    for address, name in ((to, to), (f"@{handle}", handle.lower())):
        await send(session, attempt(address, f"ke {address}"))
        await telegram.client.write(to, me, f"dari {address}")
        await eventually(lambda a=address: f"dari {a}" in host.texts())
        assert host.of(Received)[-1].conversation == name
    out = attempt(host.of(Received)[-1].conversation, "jawaban")
    thread = Thread(in_reply_to=host.of(Received)[-1].platform_id)
    out.command = out.command.model_copy(update={"thread": thread})
    await send(session, out)
    answer = (await telegram.client.messages(to=to, limit=1))[0]
    assert (answer["text"], answer["reply_to"] is not None) == ("jawaban", True)


async def test_files_are_kept(telegram, signed_in, me, to):
    _, host = signed_in
    data = {kind: f"isi {kind}".encode() * 50_000 for kind in ("photo", "document", "voice", "video")}
    for kind, content in data.items():
        media = {"kind": kind, "name": f"{kind}.bin", "mime": f"x/{kind}", "data": content}
        await telegram.client.write(to, me, f"ini {kind}", media=media)
    await arrives(host, *(f"ini {kind}" for kind in data))
    for event, (kind, content) in zip(host.of(Received), data.items(), strict=True):
        [kept] = event.attachments
        assert host.media[kept.object] == content
        assert kept.size == len(content)
        assert kind == "photo" or (kept.filename, kept.content_type) == (f"{kind}.bin", f"x/{kind}")


async def test_a_file_in_another_data_centre_is_fetched_there(telegram, signed_in, me, to, open_session):
    other = Recorder(to)
    writer = await log_in(telegram, open_session, other)
    await telegram.client.switch(files_dc=4)
    _, host = signed_in
    kept = await other.put_media(b"jauh" * 100_000, "jauh.pdf", "application/pdf")
    await send(writer, attempt(me, "dari jauh", attachments=[kept.model_dump()]))
    await arrives(host, "dari jauh")
    assert host.media[host.of(Received)[0].attachments[0].object] == b"jauh" * 100_000


async def test_a_file_that_is_too_large_is_a_stub_with_its_text(telegram, open_session, me, to):
    host = Recorder(me)
    await log_in(telegram, open_session, host, inbound_limit_bytes=1_000)
    media = {"kind": "video", "name": "besar.mp4", "mime": "video/mp4", "data": b"x" * 2_000}
    await telegram.client.write(to, me, "besar", media=media)
    await telegram.client.write(to, me, "sesudahnya")
    await arrives(host, "besar", "sesudahnya")
    assert [(one.stub, one.attachments) for one in host.of(Received)] == [("too_large", []), (None, [])]
    [(head, error)] = host.dead
    assert b"besar.mp4" in head
    assert "2000" in error


async def test_a_file_that_cannot_be_fetched_holds_nobody_up(telegram, signed_in, me, to):
    _, host = signed_in
    await telegram.client.set_faults(refuse={"error": "LOCATION_INVALID", "method": "upload.getFile"})
    await telegram.client.write(to, me, "rusak", media={"name": "a.pdf", "data": b"x" * 100})
    await telegram.client.write(to, me, "sesudahnya")
    await arrives(host, "rusak", "sesudahnya")
    assert host.of(Received)[0].stub == "unreadable"


async def test_an_expired_reference_is_renewed(telegram, signed_in, me, to):
    _, host = signed_in
    await telegram.client.set_faults(
        refuse={"error": "FILE_REFERENCE_EXPIRED", "method": "upload.getFile", "times": 1}
    )  # fmt: skip
    await telegram.client.write(to, me, "lama", media={"name": "a.pdf", "data": b"x" * 100})
    await arrives(host, "lama")
    assert host.media[host.of(Received)[0].attachments[0].object] == b"x" * 100


async def test_edits_and_deletions_are_noted_live_and_missed(telegram, signed_in, me, to, open_session):
    session, host = signed_in
    written = [await telegram.client.write(to, me, f"pesan {n}") for n in range(4)]
    await arrives(host, *(f"pesan {n}" for n in range(4)))
    ids = {one.text: one.id for one in host.of(Received)}
    await telegram.client.edit(to, written[0]["id"], "pesan baru")
    await telegram.client.delete(to, written[1]["id"])
    await eventually(lambda: host.edited and host.deleted)
    assert (host.edited[0].id, host.edited[0].text) == (ids["pesan 0"], "pesan baru")
    assert host.edited[0].conversation == host.of(Received)[0].conversation
    assert host.deleted[0].ids == [ids["pesan 1"]]
    assert host.deleted[0].platform_ids == [str(written[1]["to_id"])]
    await settled(host)
    await session.close()
    await telegram.client.edit(to, written[2]["id"], "diubah kemudian")
    await telegram.client.delete(to, written[3]["id"])
    later = host.again()
    await open_session(later)
    await eventually(lambda: later.edited and later.deleted)
    assert (later.edited[0].id, later.edited[0].text) == (ids["pesan 2"], "diubah kemudian")
    assert later.deleted[0].ids == [ids["pesan 3"]]
    assert later.texts() == []


async def test_what_was_missed_comes_once_in_order_over_several_slices(telegram, signed_in, me, to, open_session):
    session, host = signed_in
    await telegram.client.write(to, me, "sebelum")
    await arrives(host, "sebelum")
    await settled(host)
    await session.close()
    texts = [f"saat pergi {n}" for n in range(17)]
    for text in texts:
        await telegram.client.write(to, me, text)
    later = host.again()
    await open_session(later)
    await arrives(later, *texts)
    await telegram.client.write(to, me, "sesudah")
    await arrives(later, *texts, "sesudah")
    assert len(later.published) == len(set(later.published))


async def test_a_cut_connection_loses_nothing_and_doubles_nothing(telegram, signed_in, me, to):
    _, host = signed_in
    texts = []
    for n in range(12):
        texts.append(f"pesan {n}")
        if n % 4 == 1:
            await telegram.client.disconnect(me)
        await telegram.client.write(to, me, texts[-1])
    await arrives(host, *texts)
    assert [status for status, _ in host.reports].count("ready") == 1, "a short break is nobody's business"


async def test_a_gap_in_the_updates_is_filled(telegram, signed_in, me, to):
    session, host = signed_in
    await telegram.client.write(to, me, "satu")
    await arrives(host, "satu")
    at = session._inbound._position
    session._inbound._position = type(at)(at.pts - 1, at.qts, at.date, at.seq)  # as if one push had been lost
    await telegram.client.write(to, me, "dua")
    await eventually(lambda: "dua" in host.texts())
    assert host.texts() == ["satu", "dua"]


async def test_a_crash_between_publishing_and_the_cursor_repeats_the_same_ids(
    telegram, signed_in, me, to, open_session
):
    session, host = signed_in
    await settled_none(host)
    before = dict(host.positions)
    await telegram.client.write(to, me, "satu")
    await arrives(host, "satu")
    await session.close()
    later = host.again()
    later.positions = before
    await open_session(later)
    await arrives(later, "satu")
    assert later.published == host.published


async def settled_none(host):
    """Wait for the first cursor."""
    await eventually(lambda: host.positions)


async def test_the_owners_own_messages_are_shown_and_ours_are_not(telegram, signed_in, me, to):
    session, host = signed_in
    await send(session, attempt(to, "dari Kurir"))
    await telegram.client.write(me, to, "dari HP")
    await eventually(host.own, what="the message from the phone")
    assert host.own() == ["dari HP"]
    event = next(one for one in host.of(Received) if one.own)
    assert (event.conversation, event.sender.address, event.to[0].address) == (to, me, to)


async def test_after_a_crash_ours_wait_for_the_lane_and_the_phones_do_not_pass_the_cursor(
    telegram, signed_in, me, to, open_session
):  # fmt: skip
    session, host = signed_in
    await settled_none(host)
    await send(session, attempt(to, "terkirim", row="r1"))
    await telegram.client.set_faults(drop={"method": "messages.sendMessage", "stored": True, "times": 1})
    with pytest.raises(Exception, match="no answer"):
        await send(session, attempt(to, "jawab hilang", row="r2"))
    await session.close()  # the process dies here; nothing is known of r2
    await telegram.client.write(me, to, "dari HP")
    await telegram.client.write(to, me, "balasan")
    later = host.again()
    session = await open_session(later)
    await arrives(later, "balasan")
    before = dict(later.positions)
    assert later.own() == [], "held back"
    assert await send(session, attempt(to, "jawab hilang", row="r2"))
    await eventually(later.own, what="the phone's message, after its time")
    assert [one for one in later.own() if one != "terkirim"] == ["dari HP"]
    await eventually(lambda: later.positions != before, what="the cursor")
    again = later.again()
    await session.close()
    await open_session(again)
    await eventually(lambda: again.status == "ready")
    await telegram.client.write(to, me, "terakhir")
    await arrives(again, "terakhir")
    assert again.own() == []


async def test_read_receipts_are_joined(telegram, open_session, me, to):
    host = Recorder(me)
    session = await log_in(telegram, open_session, host, read_pause_seconds=2.0)
    ids = [(await send(session, attempt(to, f"pesan {n}")))[0] for n in range(3)]
    for message in reversed(await telegram.client.messages(to=to)):
        await telegram.client.read(to, me, message["to_id"])
    await eventually(lambda: host.read)
    await asyncio.sleep(0.5)
    assert [(one.platform_id, one.up_to, one.conversation, one.row) for one in host.read] == [(ids[-1], True, to, None)]
    await eventually(lambda: host.positions)


async def test_a_login_code_in_telegrams_own_chat_is_neither_shown_nor_logged(  # noqa: PLR0917  # fixtures
    telegram, signed_in, me, to, open_session, caplog, capfd
):  # fmt: skip
    """Somebody signs the same number in elsewhere: the code comes as a message from 777000, live and missed."""
    caplog.set_level(logging.DEBUG)
    session, host = signed_in
    await telegram.client.switch(code_in_chat=True)
    other = Recorder(me, account_id="elsewhere")
    await open_session(other)
    await eventually(lambda: other.status == "awaiting_code")
    live = await telegram.client.last_code(me)
    await telegram.client.write(to, me, "sesudah kode")
    await arrives(host, "sesudah kode")
    await settled(host)
    await session.close()
    third = Recorder(me, account_id="third")
    await open_session(third)
    await eventually(lambda: third.status == "awaiting_code")
    missed = await telegram.client.last_code(me)
    later = host.again()
    await open_session(later)
    await telegram.client.write(to, me, "kemudian")
    await arrives(later, "kemudian")
    said = caplog.text + "".join(capfd.readouterr()) + str([host.__dict__, later.__dict__])
    assert live not in said
    assert missed not in said
    assert "777000" not in said
