"""Sending: to whom, what, once; and what Telegram says against it."""

import asyncio
import contextlib

import pytest
from channel_telegram.sender import random_id
from channelkit.protocol import NeedsLogin, NotClaimed, OutcomeUnknown, Restricted
from contracts.ids import platform_key
from servicekit.clock import utcnow
from servicekit.errors import Permanent, Retry

from tests.integration.channel_telegram.conftest import log_in
from tests.integration.channel_telegram.recorder import Recorder, attempt, send
from tests.support.recorder import eventually


async def newest(telegram, to):
    """Return the newest message to a number, as the platform has it."""
    return (await telegram.client.messages(to=to, limit=1))[0]


async def copies(telegram, out, part=0):
    key = random_id(platform_key(out.command.row, out.command.wanted, part))
    return (await telegram.client.counts_by_random_id([key]))["copies"]


async def test_a_message_goes_to_a_phone_number_a_handle_and_a_known_person(telegram, signed_in, to):
    session, _ = signed_in
    handle = (await telegram.client.user(to))["username"]
    ids = [await send(session, attempt(address, f"ke {address}")) for address in (to, f"@{handle}", handle.lower())]
    user = (await telegram.client.user(to))["id"]
    ids.append(await send(session, attempt(f"#{user}", "ke nomor")))
    assert [one["text"] for one in await telegram.client.messages(to=to)] == [
        "ke nomor", f"ke {handle.lower()}", f"ke @{handle}", f"ke {to}",
    ]  # fmt: skip
    numbers = [int(one) for [one] in ids]
    assert numbers == sorted(set(numbers))


async def test_who_is_not_there_fails(telegram, signed_in, to):
    session, _ = signed_in
    for address, reason in (
        ("+628990000999", "not_on_telegram"),
        ("@siapa_ini", "not_on_telegram"),
        ("#99", "unknown_peer"),
    ):
        out = attempt(address)
        with pytest.raises(Permanent, match=reason):
            await send(session, out)
        assert out.claims == 0, "nothing could be sent, and nothing was claimed"
    assert [await session.check(one) for one in (to, "+628990000999", "not an address")] == [True, False, None]


async def test_text_keeps_its_marks(telegram, signed_in, to):
    session, _ = signed_in
    await send(session, attempt(to, "😀 *Promo* _hari ini_ ~lama~ ```kode```"))
    arrived = await newest(telegram, to)
    assert arrived["text"] == "😀 Promo hari ini lama kode"
    assert [(one["_"].removeprefix("MessageEntity").lower(), one["offset"], one["length"]) for one in arrived["entities"]] == [
        ("bold", 3, 5), ("italic", 9, 8), ("strike", 18, 4), ("pre", 23, 4),
    ]  # fmt: skip
    await send(session, attempt(to, "x", html='Lihat <a href="https://toko.test/">toko</a>'))
    arrived = await newest(telegram, to)
    assert (arrived["text"], arrived["entities"][0]["url"]) == ("Lihat toko", "https://toko.test/")


async def test_files_arrive_as_what_they_are_and_are_uploaded_once(telegram, signed_in, to):
    session, host = signed_in
    given = [("image/jpeg", "foto.jpg"), ("application/pdf", "harga.pdf"), ("audio/mpeg", "lagu.mp3"),
             ("video/mp4", "film.mp4"), ("audio/ogg", "suara.ogg")]  # fmt: skip
    kept = [await host.put_media(f"isi {name}".encode() * 1000, name, kind) for kind, name in given]
    for _ in range(2):
        out = attempt(to, "*harga*", attachments=[one.model_dump() for one in kept])
        ids = await send(session, out)
        assert len(ids) == 5
        assert out.parts_done == ids[:-1], "each bubble but the last is written down"
    arrived = list(reversed(await telegram.client.messages(to=to)))
    assert [one["text"] for one in arrived] == ["harga", "", "", "", ""] * 2
    assert [_kind(one["media"]) for one in arrived[:5]] == ["photo", "document", "audio", "video", "voice"]
    for one, message in zip(kept, arrived, strict=False):
        assert await telegram.client.file(message["media"]["id"]) == host.media[one.object]
    assert [one["media"]["id"] for one in arrived[:5]] == [one["media"]["id"] for one in arrived[5:]], "uploaded once"


async def test_a_large_file_is_sent_in_parts(telegram, signed_in, to):
    session, host = signed_in
    data = bytes(range(256)) * 50_000  # 12.8 MB
    kept = await host.put_media(data, "besar.zip", "application/zip")
    await send(session, attempt(to, "", attachments=[kept.model_dump()]))
    assert await telegram.client.file((await newest(telegram, to))["media"]["id"]) == data


async def test_an_expired_file_is_uploaded_again(telegram, signed_in, to):
    session, host = signed_in
    kept = await host.put_media(b"isi" * 100, "a.pdf", "application/pdf")
    await send(session, attempt(to, "satu", attachments=[kept.model_dump()]))
    await telegram.client.expire_file_references()
    await send(session, attempt(to, "dua", attachments=[kept.model_dump()]))
    assert [one["text"] for one in await telegram.client.messages(to=to)] == ["dua", "satu"]


async def test_a_missing_file_fails_before_the_claim(signed_in, to):
    session, _ = signed_in
    out = attempt(to, attachments=[{"object": "nowhere", "filename": "a", "size": 3}])
    with pytest.raises(Permanent, match="attachment_missing"):
        await send(session, out)
    assert out.claims == 0


async def test_bubbles_follow_and_a_repeat_begins_after_those_that_are_out(telegram, signed_in, to):
    session, _ = signed_in
    row = "baris1"
    first = attempt(to, "satu", row=row, bubbles=["dua", "tiga"])
    ids = await send(session, first)
    again = attempt(to, "satu", row=row, bubbles=["dua", "tiga"], parts_done=ids[:1])
    assert await send(session, again) == ids
    assert [one["text"] for one in await telegram.client.messages(to=to)] == ["tiga", "dua", "satu"]
    counts = await telegram.client.counts()
    assert (counts["duplicates"], counts["refused_repeats"]) == (0, 2), "the first one was not even asked"


async def test_a_repeat_is_recognised_and_finds_its_own_id(telegram, signed_in, to, make_driver, open_session):
    """Also in another process, which remembers nothing, among messages that say the same."""
    session, host = signed_in
    sent = {n: await send(session, attempt(to, "sama", row=f"r{n}")) for n in range(3)}
    assert await send(session, attempt(to, "sama", row="r2")) == sent[2]
    await session.close()
    session = await open_session(later := host.again(), make_driver())
    await eventually(lambda: later.status == "ready")
    assert await send(session, attempt(to, "sama", row="r2")) == sent[2]
    assert len(await telegram.client.messages(to=to)) == 3


async def test_asked_for_again_by_a_person_it_goes_out_again(telegram, signed_in, to):
    session, _ = signed_in
    first, again = attempt(to, row="r1"), attempt(to, row="r1", wanted=1)
    assert await send(session, first) != await send(session, again)
    assert len(await telegram.client.messages(to=to)) == 2


@pytest.mark.parametrize("fault", ["drop", "hang"])
async def test_a_lost_answer_is_doubtful_and_the_repeat_finds_the_message(telegram, signed_in, to, fault):
    session, _ = signed_in
    await send(session, attempt(to, "sebelumnya"))
    await telegram.client.set_faults(**{fault: {"method": "messages.sendMessage", "stored": True, "times": 1}})
    out, before = attempt(to, "hilang jawabnya", row="r1"), session.connection
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(send(session, out), 15)
    assert out.claims == 1
    assert before.closed, "who does not answer is not asked again over the same connection"

    async def repeated():
        with contextlib.suppress(Retry):  # not connected again yet
            return await send(session, attempt(to, "hilang jawabnya", row="r1"))

    ids = await eventually(repeated, what="the repeat")
    [arrived] = [one for one in await telegram.client.messages(to=to) if one["text"] == "hilang jawabnya"]
    assert ids == [str(arrived["id"])]
    assert await copies(telegram, out) == 1


async def test_without_a_connection_nothing_is_claimed(telegram, signed_in, to):
    session, host = signed_in
    await telegram.client.set_faults(down=True)
    await telegram.client.disconnect()
    await eventually(lambda: host.status == "degraded", what=str(host.reports))
    out = attempt(to)
    with pytest.raises(Retry) as caught:
        await send(session, out)
    assert isinstance(caught.value.__cause__, OSError)
    assert out.claims == 0
    await telegram.client.clear_faults()
    await eventually(lambda: host.status == "ready", what=str(host.reports))
    assert await send(session, attempt(to))


async def test_not_claimed_nothing_is_sent(telegram, signed_in, to):
    session, _ = signed_in
    with pytest.raises(NotClaimed):
        await send(session, attempt(to, refuse=True))
    assert await telegram.client.messages(to=to) == []


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ("FLOOD_WAIT_7", Restricted, "7 s"),
        ("PEER_FLOOD", Restricted, "@SpamBot"),
        ("SLOWMODE_WAIT_3", Retry, "SLOWMODE_WAIT"),
        ("USER_PRIVACY_RESTRICTED", Permanent, "privacy_restricted"),
        ("USER_IS_BLOCKED", Permanent, "blocked"),
        ("INPUT_USER_DEACTIVATED", Permanent, "deactivated"),
        ("AUTH_KEY_UNREGISTERED", NeedsLogin, "another device"),
        ("RPC_CALL_FAIL", OutcomeUnknown, "RPC_CALL_FAIL"),
    ],
)
async def test_each_refusal_says_what_to_do(telegram, signed_in, to, error, kind, said):  # noqa: PLR0917  # fixtures
    session, _ = signed_in
    await telegram.client.set_faults(refuse={"error": error, "method": "messages.sendMessage", "times": 1})
    with pytest.raises(kind) as caught:
        await send(session, attempt(to))
    assert said in (caught.value.reason if isinstance(caught.value, Restricted) else str(caught.value))
    if error == "FLOOD_WAIT_7":
        assert 4 < (caught.value.until - utcnow()).total_seconds() <= 7
    if kind is not NeedsLogin:
        assert await send(session, attempt(to, "sesudahnya")), "the library remembers no flood wait of its own"


@pytest.mark.parametrize(
    ("acts", "reason"), [("block", "blocked"), ("privacy", "privacy_restricted"), ("deactivated", "deactivated")]
)
async def test_people_who_want_nothing(telegram, signed_in, acts, reason):
    session, _ = signed_in
    await telegram.client.put_user("+628220000009", acts=acts)
    with pytest.raises(Permanent, match=reason):
        await send(session, attempt("+628220000009"))


async def test_no_more_contacts_rests_the_account(telegram, signed_in):
    session, _ = signed_in
    await telegram.client.put_user("+628220000009", acts="retry")
    with pytest.raises(Restricted, match="contacts"):
        await send(session, attempt("+628220000009"))


async def test_a_slow_platform_does_not_hold_the_sender_for_ever(telegram, open_session, me, to):
    host = Recorder(me)
    session = await log_in(telegram, open_session, host, send_timeout_seconds=1.5)
    await telegram.client.set_faults(hang={"method": "messages.sendMessage"})
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(send(session, attempt(to)), 5)
    assert (await telegram.client.user(me))["logins"] == 1


def _kind(media):
    """Return how an app would show a file."""
    kinds = {one["_"]: one for one in media["attributes"]}
    if audio := kinds.get("DocumentAttributeAudio"):
        return "voice" if audio["voice"] else "audio"
    return "video" if "DocumentAttributeVideo" in kinds else media["kind"]
