"""What leaves: through a real browser to the practice WhatsApp, which counts what arrived and recognises no copy."""

import asyncio

import pytest
from channel_whatsapp.parts import is_ours, message_id
from channelkit.protocol import NotClaimed, OutcomeUnknown
from servicekit.errors import Permanent, Retry

from tests.support.recorder import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d49444154789c6360f8cf50"
    "0f0003860180345a347e0000000049454e44ae426082"
)  # fmt: skip


async def send(session, out):
    return await session.sender().send(out, lambda: None)


async def arrived(whatsapp, ids):
    """Return what arrived of these ids, in the order of the ids, copies included."""
    return [one for wanted in ids for one in await whatsapp.messages(message_id=wanted)]


async def test_a_text_arrives_once_under_an_id_made_of_its_key(linked, whatsapp, attempt):
    out = attempt("Halo dari Toko\nbaris kedua 👋")
    ids = await send(linked[0], out)
    assert ids == [message_id(out.platform_key(0))]
    assert is_ours(ids[0])
    assert [one["text"] for one in await arrived(whatsapp, ids)] == ["Halo dari Toko\nbaris kedua 👋"]
    assert out.claims == 1


async def test_bubbles_and_files_arrive_in_order(linked, whatsapp, attempt):
    session, host = linked
    files = [
        await host.put_media(PNG, "menu.png", "image/png"),
        await host.put_media(b"%PDF-1.4 ...", "harga.pdf", "application/pdf"),
    ]
    out = attempt("Menu baru", attachments=files, bubbles=["Pesan sekarang?", "Balas YA"])
    got = await arrived(whatsapp, await send(session, out))
    assert [one["content"]["type"] for one in got] == ["image", "document", "chat", "chat"]
    assert [one["text"] for one in got] == ["Menu baru", "", "Pesan sekarang?", "Balas YA"]
    assert await whatsapp.media(got[0]["content"]["filehash"]) == PNG
    assert got[1]["content"]["filename"] == "harga.pdf"
    assert out.claims == 1


async def test_a_voice_note_has_its_text_before_it(linked, whatsapp, attempt):
    session, host = linked
    voice = await host.put_media(b"OggS" + bytes(2000), "suara.ogg", "audio/ogg")
    song = await host.put_media(b"ID3" + bytes(2000), "lagu.mp3", "audio/mpeg")
    film = await host.put_media(bytes(3_200_000), "film.mp4", "video/mp4")
    got = await arrived(whatsapp, await send(session, attempt("Dengarkan", attachments=[voice, song, film])))
    assert [one["content"]["type"] for one in got] == ["chat", "ptt", "audio", "video"]
    assert len(await whatsapp.media(got[3]["content"]["filehash"])) == 3_200_000


async def test_who_is_not_on_whatsapp_gets_nothing(linked, whatsapp, attempt):
    await whatsapp.put_number("+628130000001", exists=False)
    out = attempt(to="+628130000001")
    with pytest.raises(Permanent) as refused:
        await send(linked[0], out)
    assert refused.value.reason == "not_on_whatsapp"
    assert out.claims == 0
    assert await linked[0].check("+628130000001") is False
    assert await linked[0].check("+628120000001") is True


async def test_an_address_of_another_kind_or_an_empty_message_fails(linked, attempt):
    for out, reason in ((attempt(to="toko@example.com"), "bad_address"), (attempt(""), "empty_message")):
        with pytest.raises(Permanent) as refused:
            await send(linked[0], out)
        assert refused.value.reason == reason
        assert out.claims == 0


async def test_what_is_not_claimed_does_not_leave(linked, whatsapp, attempt):
    session, host = linked
    out = attempt("", attachments=[await host.put_media(PNG, "a.png", "image/png")])
    out.refuse = True
    with pytest.raises(NotClaimed):
        await send(session, out)
    assert not await arrived(whatsapp, [message_id(out.platform_key(0))])


async def test_what_the_page_gives_back_is_tried_again_and_what_it_refuses_fails(linked, whatsapp, attempt):
    session, _ = linked
    again, refused, network = attempt(), attempt(), attempt()
    faults = zip((again, refused, network), ("ERROR_CANCELLED", "ERROR_UNKNOWN", "ERROR_NETWORK"), strict=True)
    await whatsapp.set_faults(
        refuse_send=[{"recipient": out.command.to.address, "result": result, "times": 1} for out, result in faults]
    )
    with pytest.raises(Retry):
        await send(session, again)
    with pytest.raises(Permanent):
        await send(session, refused)
    with pytest.raises(OutcomeUnknown):
        await send(session, network)
    assert await session.was_sent(network.platform_key(0), network.command) is None
    assert len(await arrived(whatsapp, await send(session, again))) == 1


async def test_typing_is_shown_before_the_message(linked, whatsapp, attempt):
    session, _ = linked
    session.typing_seconds = 0.3
    try:
        out = attempt()
        await send(session, out)
    finally:
        session.typing_seconds = 0
    shown = (await whatsapp.happenings())["typing"]
    assert any(one["state"] == "composing" for one in shown), shown


async def test_a_message_whose_answer_was_lost_is_found_by_its_id(linked, whatsapp, attempt):
    """The server has it; whoever asks the page is told so once the page learns it, and nobody sends again."""
    session, _ = linked
    out = attempt("sekali saja")
    await whatsapp.set_faults(lose_ack={"times": 1})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await send(session, out)
    wanted = message_id(out.platform_key(0))
    assert await session.was_sent(out.platform_key(0), out.command) == wanted
    assert len(await arrived(whatsapp, [wanted])) == 1


async def test_what_never_left_the_page_may_be_sent_again(linked, whatsapp, attempt):
    session, _ = linked
    out = attempt()
    assert await session.was_sent(out.platform_key(0), out.command) is None  # an earlier session may have tried
    session.fates.handed(message_id(out.platform_key(0)))
    assert await session.was_sent(out.platform_key(0), out.command) is False
    await send(session, out)
    assert await session.was_sent(out.platform_key(0), out.command) == message_id(out.platform_key(0))
    assert len(await arrived(whatsapp, [message_id(out.platform_key(0))])) == 1


async def test_receipts_name_the_conversation_and_the_message(linked, whatsapp, attempt):
    session, host = linked
    out = attempt()
    await whatsapp.put_number(out.command.to.address, acts="read")
    [platform_id] = await send(session, out)

    def receipts():
        return {
            type(event).__name__: event.conversation
            for event in host.events.values()
            if getattr(event, "platform_id", "") == platform_id
        }

    await eventually(lambda: len(receipts()) == 2)
    assert receipts() == dict.fromkeys(["Delivered", "Read"], out.command.to.address)


async def test_a_call_that_hangs_before_the_send_is_taken_back_by_the_question(linked, whatsapp, attempt):
    """It goes on later, and must not send then: the message may have gone out by another call."""
    session, _ = linked
    page, out, gate, asked = session.life.page.page, attempt(), asyncio.Event(), []

    async def hold(route):
        asked.append(route)
        if len(asked) == 2:  # the first asks whether the number exists, the second opens its chat
            await gate.wait()
        await route.continue_()

    await page.route("**/wa/exists", hold)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await send(session, out)
        assert await session.was_sent(out.platform_key(0), out.command) is False
        gate.set()
        await send(session, out)
        await asyncio.sleep(0.5)
    finally:
        await page.unroute("**/wa/exists")
    assert len(await arrived(whatsapp, [message_id(out.platform_key(0))])) == 1
