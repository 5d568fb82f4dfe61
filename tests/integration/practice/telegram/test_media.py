"""Files go up in parts, lie at a DC, and come down with a reference that may expire."""

from hashlib import sha256
from io import BytesIO

import pytest
from practice.telegram.testing import connected, signed_in
from telethon import errors, functions, types

from .conftest import ANNA, BUDI, SHOP
from .test_messages import imported

#: What a minimal PNG begins with, so that clients take it for a picture.
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(2_000)
LARGE = bytes(range(256)) * 45_000


def named(name, content):
    file = BytesIO(content)
    file.name = name
    return file


CASES = [
    ("menu.pdf", b"%PDF-1.4 " * 100, []),
    ("large.bin", LARGE, []),
    ("photo.jpg", PICTURE, []),
    ("song.mp3", b"ID3" * 500, [types.DocumentAttributeAudio(3, title="song")]),
    ("note.ogg", b"OggS" * 500, [types.DocumentAttributeAudio(3, voice=True)]),
    ("clip.mp4", b"mp4!" * 500, [types.DocumentAttributeVideo(3, 64, 64)]),
]


@pytest.mark.parametrize("case", CASES, ids=[name for name, _, _ in CASES])
async def test_what_was_sent_is_told_and_comes_back(telegram, platform, shop, case):
    name, content, attributes = case
    file = named(name, content)
    sent = await shop.send_file(await imported(shop, ANNA), file, caption="look", attributes=attributes)
    (told,) = await telegram.messages(to=ANNA)
    kind = "photo" if name == "photo.jpg" else "document"
    assert (told["text"], told["media"]["kind"], told["media"]["size"]) == ("look", kind, len(content))
    assert told["media"]["sha256"] == sha256(content).hexdigest()
    assert await telegram.file(told["media"]["id"]) == content
    assert {type(one).__name__ for one in attributes} <= {one["_"] for one in told["media"]["attributes"]}
    assert (sent.voice is not None) == (name == "note.ogg")
    async with signed_in(platform.ports, telegram, ANNA) as anna:
        (heard,) = await anna.get_messages(await imported(anna, SHOP), limit=1)
        assert await anna.download_media(heard, bytes) == content


async def test_media_may_be_uploaded_first_and_sent_by_its_id(telegram, shop):
    anna = await imported(shop, ANNA)
    upload = types.InputMediaUploadedDocument(await shop.upload_file(named("a.txt", b"abc")), "text/plain", [])
    kept = (await shop(functions.messages.UploadMediaRequest(anna, upload))).document
    again = types.InputMediaDocument(types.InputDocument(kept.id, kept.access_hash, kept.file_reference))
    for n, peer in enumerate((anna, await imported(shop, BUDI)), start=1):
        await shop(functions.messages.SendMediaRequest(peer, again, "", random_id=n))
    assert [one["media"]["id"] for one in await telegram.messages()] == [str(kept.id)] * 2
    with pytest.raises(errors.RandomIdDuplicateError):
        await shop(functions.messages.SendMediaRequest(anna, again, "", random_id=1))


async def test_missing_and_spoilt_parts_are_refused(telegram, shop):
    anna, whole = await imported(shop, ANNA), await shop.upload_file(named("a.txt", b"abc"))
    for file, error in (
        (types.InputFile(whole.id, 2, "a.txt", ""), errors.FilePartsInvalidError),
        (types.InputFile(whole.id, 1, "a.txt", "0" * 32), errors.Md5ChecksumInvalidError),
    ):
        media = types.InputMediaUploadedDocument(file, "text/plain", [])
        await shop(functions.upload.SaveFilePartRequest(whole.id, 0, b"abc"))
        with pytest.raises(error):
            await shop(functions.messages.SendMediaRequest(anna, media, "", random_id=1))
    assert (await telegram.counts())["received"] == 0


async def test_an_expired_reference_asks_for_the_message_again(telegram, shop):
    await telegram.write(ANNA, SHOP, "see", media={"kind": "document", "name": "a.txt", "data": b"abc"})
    anna = await imported(shop, ANNA)
    (old,) = await shop.get_messages(anna, limit=1)
    await telegram.expire_file_references()
    with pytest.raises(errors.FileReferenceExpiredError):
        await shop(functions.upload.GetFileRequest(location_of(old), 0, 1024))
    (again,) = await shop.get_messages(anna, ids=[old.id])
    assert (await shop(functions.upload.GetFileRequest(location_of(again), 0, 1024))).bytes == b"abc"
    assert await shop.download_media(old, bytes) == b"abc", "Telethon asks for the message again by itself"


def location_of(message):
    document = message.document
    return types.InputDocumentFileLocation(document.id, document.access_hash, document.file_reference, thumb_size="")


async def test_a_file_at_another_dc_comes_through_an_exported_login(platform, telegram, shop):
    await telegram.switch(files_dc=4)
    sent = await shop.send_file(await imported(shop, ANNA), named("a.txt", b"elsewhere"))
    assert sent.document.dc_id == 4
    with pytest.raises(errors.FileMigrateError):
        await shop(functions.upload.GetFileRequest(location_of(sent), 0, 1024))
    assert await shop.download_media(sent, bytes) == b"elsewhere"


async def test_an_exported_login_works_once_and_for_files_alone(platform, telegram, shop):
    exported = await shop(functions.auth.ExportAuthorizationRequest(4))
    session = shop.session.clone()
    session.set_dc(4, "127.0.0.1", platform.ports.other_port)
    async with connected(platform.ports, session) as elsewhere:
        await elsewhere(functions.auth.ImportAuthorizationRequest(exported.id, exported.bytes))
        with pytest.raises(errors.UserMigrateError):
            await elsewhere(functions.updates.GetStateRequest())
        with pytest.raises(errors.AuthBytesInvalidError):
            await elsewhere(functions.auth.ImportAuthorizationRequest(exported.id, exported.bytes))
    with pytest.raises(errors.DcIdInvalidError):
        await shop(functions.auth.ExportAuthorizationRequest(2))


async def test_several_files_are_a_message_each(telegram, shop):
    sent = await shop.send_file(await imported(shop, ANNA), [named("a.jpg", PICTURE), named("b.jpg", PICTURE + b"x")])
    assert len(sent) == 2
    assert len(await telegram.messages(to=ANNA)) == 2
