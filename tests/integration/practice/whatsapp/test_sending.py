"""Texts and files go out under the id we give them; receipts come back; the server counts by id what arrived."""

import base64

import pytest
from playwright.async_api import Error

SHOP, BUDI, ANI = "+62811000001", "+62811000002", "+62811000003"
BUDI_ID, ANI_ID = "62811000002@c.us", "62811000003@c.us"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

SEND_FILE = """async ([to, data, mimetype, options]) => {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const file = new File([bytes], options.filename || "file", {type: mimetype});
  const sent = await WPP.chat.sendFileMessage(to, file, options);
  return JSON.parse(JSON.stringify(sent));
}"""


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def test_a_text_arrives_under_our_id_and_its_receipts_come_back(shop, whatsapp):
    await whatsapp.put_number(ANI, acts="read", lid_chats=False)
    key = f"true_{ANI_ID}_3EB0AA01"
    sent = await shop.send_text(ANI_ID, "Halo Ani", messageId=key)
    assert (sent["id"], sent["sendMsgResult"]["messageSendResult"]) == (key, "OK")
    assert sent["ack"] >= 1
    (arrived,) = await whatsapp.messages(to=ANI)
    assert (arrived["id"], arrived["text"], arrived["sender"]) == ("3EB0AA01", "Halo Ani", SHOP)
    acks = await shop.hears("chat.msg_ack_change", 3)
    assert [(one["ack"], one["ids"]) for one in acks] == [(1, [key]), (2, [key]), (3, [key])]
    (own,) = await shop.hears("chat.new_message")
    assert own["fromMe"]
    assert own["id"] == key
    assert await shop.run("(id) => WPP.chat.getMessageById(id).then((found) => found.ack)", key) == 3


async def test_a_chat_may_go_by_lid_whatever_id_it_was_asked_for_by(shop, whatsapp):
    lid = (await whatsapp.number(BUDI))["lid"]
    chat = await shop.run("(id) => WPP.chat.find(id).then((chat) => String(chat.id))", BUDI_ID)
    assert chat == lid
    with pytest.raises(Error, match="not same of chat"):
        await shop.send_text(BUDI_ID, "Halo", messageId=f"true_{BUDI_ID}_3EB0AA02")
    await shop.send_text(BUDI_ID, "Halo", messageId=f"true_{lid}_3EB0AA02")
    assert [one["id"] for one in await whatsapp.messages(to=BUDI)] == ["3EB0AA02"]
    entry = await shop.run("(id) => WPP.contact.getPnLidEntry(id)", lid)
    assert entry["phoneNumber"]["_serialized"] == BUDI_ID


async def test_a_repeated_id_is_delivered_twice_unless_the_switch_is_on(shop, whatsapp):
    key = f"true_{ANI_ID}_3EB0AA03"
    for _ in range(2):
        await shop.send_text(ANI_ID, "Halo", messageId=key)
    await whatsapp.switch(deduplicate=True)
    await shop.send_text(ANI_ID, "Halo", messageId=key)
    counts = await whatsapp.counts()
    assert (counts["received"], counts["distinct_message_ids"], counts["duplicates"]) == (2, 1, 1)
    assert counts["recognised"] == 1
    by_id = await whatsapp.counts_by_message_id(["3EB0AA03", "3EB0AA04"])
    assert by_id == {"counts": {"3EB0AA03": 2, "3EB0AA04": 0}, "received": 1, "copies": 2, "duplicates": 1}


async def test_numbers_without_whatsapp_are_known_and_cannot_be_sent_to(shop, whatsapp):
    exists = "(id) => WPP.contact.queryWidExists(id).then((found) => found && String(found.wid))"
    await whatsapp.put_number("+62811000009", exists=False)
    assert await shop.run(exists, ANI_ID) == ANI_ID
    for unknown in ("62811000009@c.us", "62899999999@c.us"):
        assert await shop.run(exists, unknown) is None
        with pytest.raises(Error, match="No LID"):
            await shop.send_text(unknown, "Halo")
    assert (await whatsapp.counts())["received"] == 0


async def test_a_number_that_gave_up_whatsapp_cannot_be_sent_to_in_its_old_chat_either(shop, whatsapp):
    await shop.send_text(ANI_ID, "Halo")
    await whatsapp.put_number(ANI, exists=False, lid_chats=False)
    sent = await shop.send_text(ANI_ID, "Halo lagi")
    assert (sent["ack"], sent["sendMsgResult"]["messageSendResult"]) == (-1, "ERROR_UNKNOWN")
    assert (await whatsapp.counts())["received"] == 1


FILES = [
    (PNG, "image/png", {"type": "image", "caption": "Foto"}, "image"),
    (b"%PDF-1.7 brochure", "application/pdf", {"type": "document", "filename": "harga.pdf"}, "document"),
    (b"not truly ogg", "audio/ogg", {"type": "audio", "isPtt": True}, "ptt"),
    (b"not truly mp4", "video/mp4", {"type": "video", "caption": "Film"}, "video"),
    (b"x" * 3_000_000, "application/zip", {"type": "document", "filename": "big.zip"}, "document"),
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file[1])
async def test_files_arrive_byte_for_byte(shop, whatsapp, file):
    data, mimetype, options, kind = file
    key = f"true_{ANI_ID}_3EB0BB01"
    sent = await shop.run(SEND_FILE, [ANI_ID, encoded(data), mimetype, {**options, "messageId": key}])
    assert (sent["id"], sent["sendMsgResult"]["messageSendResult"]) == (key, "OK")
    assert sent["ack"] >= 1
    (arrived,) = await whatsapp.messages(to=ANI)
    content = arrived["content"]
    assert (content["type"], content["mimetype"], content["size"]) == (kind, mimetype, len(data))
    assert arrived["text"] == options.get("caption", "")
    assert content["filename"] == options.get("filename", "file")
    assert await whatsapp.media(content["filehash"]) == data
    download = "(id) => WPP.chat.downloadMedia(id).then((blob) => blob.size)"
    assert await shop.run(download, key) == len(data)


async def test_a_file_over_the_limit_is_refused_by_the_page(shop, whatsapp):
    with pytest.raises(Error, match="exceeds the upload limit"):
        await shop.run(SEND_FILE, [ANI_ID, encoded(b"x" * 1_100_000), "image/webp", {"type": "sticker"}])
    assert (await whatsapp.counts())["received"] == 0


async def test_typing_and_reading_are_seen_by_the_server(shop, whatsapp):
    await shop.run("(id) => WPP.chat.find(id)", ANI_ID)
    await shop.run("(id) => WPP.chat.markIsComposing(id).then(() => WPP.chat.markIsPaused(id))", ANI_ID)
    written = await whatsapp.write(ANI, SHOP, "Halo?")
    await shop.hears("chat.new_message")
    await shop.run("(id) => WPP.chat.markIsRead(id)", ANI_ID)
    seen = await whatsapp.happenings()
    assert [(one["chat"], one["state"]) for one in seen["typing"]] == [(ANI, "composing"), (ANI, "paused")]
    assert [one["chat"] for one in seen["reading"]] == [ANI]
    (read,) = await whatsapp.messages(message_id=written["id"])
    assert read["ack"] == 3


async def test_what_was_sent_is_known_after_a_restart(open_linked, open_page, whatsapp):
    key = f"true_{ANI_ID}_3EB0CC01"
    async with open_linked() as page:
        await page.send_text(ANI_ID, "Halo", messageId=key)
    await whatsapp.ack("3EB0CC01", 3)
    lookup = "(id) => WPP.chat.getMessageById(id).then((found) => [found.ack, found.body])"
    async with open_page() as page:
        await page.ready()
        await page.hears("chat.msg_ack_change")
        assert await page.run(lookup, key) == [3, "Halo"]
        with pytest.raises(Error, match="not found"):
            await page.run(lookup, f"true_{ANI_ID}_3EB0CC02")


async def test_a_newly_linked_page_is_told_of_earlier_messages_but_not_as_new(open_linked, whatsapp):
    key = f"true_{ANI_ID}_3EB0DD01"
    async with open_linked("first") as page:
        await page.send_text(ANI_ID, "Halo", messageId=key)
    await whatsapp.write(ANI, SHOP, "Ya?")
    async with open_linked("second") as page:
        await page.becomes("() => WPP.chat.list().then((chats) => chats.some((chat) => chat.msgs.length === 2))")
        assert await page.run("(id) => WPP.chat.getMessageById(id).then((found) => found.ack)", key) >= 1
        assert page.heard("chat.new_message") == []
