"""What comes in: texts and files of people and groups, one's own from the phone, edits, deletions; while closed too."""

from practice.testing import eventually
from practice.whatsapp.devices import Device

SHOP, BUDI, ANI = "+62811000001", "+62811000002", "+62811000003"
GROUP = "120363000000000001@g.us"
BODIES = """(chat) => WPP.chat.getMessages(chat, {count: -1})
  .then((found) => found.map((one) => [one.body, one.id.fromMe]))"""


async def nothing_pending(whatsapp) -> bool:
    """Whether the page has dealt with all it was told."""
    (device,) = await whatsapp.devices()
    return device["pending"] == 0


async def test_a_text_comes_from_a_lid_that_leads_to_the_number(shop, whatsapp):
    written = await whatsapp.write(BUDI, SHOP, "Masih ada?")
    (told,) = await shop.hears("chat.new_message")
    budi = await whatsapp.number(BUDI)
    assert (told["body"], told["from"], told["type"], told["fromMe"]) == ("Masih ada?", budi["lid"], "chat", False)
    assert told["id"] == f"false_{budi['lid']}_{written['id']}"
    entry = await shop.run("(id) => WPP.contact.getPnLidEntry(id)", told["from"])
    assert entry["phoneNumber"]["_serialized"] == budi["wid"]
    assert entry["contact"]["pushname"] == "Budi"


async def test_a_file_can_be_downloaded(shop, whatsapp):
    data = bytes(range(256)) * 500
    await whatsapp.write(ANI, SHOP, "Bukti", media=data, mimetype="image/jpeg", filename="bukti.jpg")
    (told,) = await shop.hears("chat.new_message")
    assert (told["type"], told["caption"]) == ("image", "Bukti")
    read = """(id) => WPP.chat.downloadMedia(id).then(async (blob) => ([blob.type, [...new Uint8Array(await blob.arrayBuffer())]]))"""
    mimetype, found = await shop.run(read, told["id"])
    assert mimetype == "image/jpeg"
    assert bytes(found) == data


async def test_groups_name_who_wrote(shop, whatsapp):
    await whatsapp.put_group(GROUP, [SHOP, BUDI, ANI], name="Pasar")
    await whatsapp.write(BUDI, GROUP, "Halo semua")
    (told,) = await shop.hears("chat.new_message")
    lid = (await whatsapp.number(BUDI))["lid"]
    assert (told["from"], told["author"], told["body"]) == (GROUP, lid, "Halo semua")
    sent = await shop.send_text(GROUP, "Halo juga")
    assert sent["ack"] == 1
    assert [one["text"] for one in await whatsapp.messages(to=GROUP)] == ["Halo juga", "Halo semua"]


async def test_what_the_phone_itself_sends_appears_as_ones_own(shop, whatsapp):
    await whatsapp.write(SHOP, ANI, "Dari HP")
    (told,) = await shop.hears("chat.new_message")
    assert (told["fromMe"], told["body"]) == (True, "Dari HP")
    assert told["id"].startswith("true_62811000003@c.us_")
    assert (await whatsapp.counts())["received"] == 0


async def test_an_edit_shows_the_new_words(shop, whatsapp):
    written = await whatsapp.write(ANI, SHOP, "Saya mau 2")
    await shop.hears("chat.new_message")
    edited = await whatsapp.edit(written["id"], "Saya mau 3")
    (told,) = await shop.hears("chat.msg_edited")
    assert (told["id"].split("_")[2], told["text"]) == (written["id"], "Saya mau 3")
    assert edited["earlier_texts"] == ["Saya mau 2"]


async def test_a_deleted_message_is_withdrawn(shop, whatsapp):
    written = await whatsapp.write(ANI, SHOP, "Salah kirim")
    (told,) = await shop.hears("chat.new_message")
    await whatsapp.revoke(written["id"])
    (revoked,) = await shop.hears("chat.msg_revoke")
    assert revoked["refId"] == told["id"]
    kind = "(id) => WPP.chat.getMessageById(id).then((found) => found.type)"
    assert await shop.run(kind, told["id"]) == "revoked"


async def test_what_came_while_the_page_was_closed_is_told_once_at_its_start(open_linked, open_page, whatsapp):
    async with open_linked() as page:
        await whatsapp.write(ANI, SHOP, "Satu")
        await page.hears("chat.new_message")
        await page.becomes("() => fetch('/').then(() => true)")
    for text in ("Dua", "Tiga"):
        await whatsapp.write(ANI, SHOP, text)
    async with open_page() as page:
        told = await page.hears("chat.new_message", 2)
        assert [one["body"] for one in told] == ["Dua", "Tiga"]
        assert await page.run(BODIES, "62811000003@c.us") == [["Satu", False], ["Dua", False], ["Tiga", False]]
        await page.page.reload()
        await page.ready()
        await eventually(lambda: nothing_pending(whatsapp), 30)
        assert await page.run(BODIES, "62811000003@c.us") == [["Satu", False], ["Dua", False], ["Tiga", False]]
        assert len(page.heard("chat.new_message")) == 2


async def test_typing_of_others_is_told(shop, whatsapp):
    await shop.run("(id) => WPP.chat.find(id)", "62811000003@c.us")
    await whatsapp.type(ANI, SHOP)
    (told,) = await shop.hears("chat.presence_change")
    assert (told["id"], told["state"]) == ("62811000003@c.us", "composing")


async def test_an_answer_names_what_it_answers_on_both_ways(shop, whatsapp):
    ask = await whatsapp.write(ANI, SHOP, "Berapa?")
    (told,) = await shop.hears("chat.new_message")
    await shop.send_text("62811000003@c.us", "Dua puluh", quotedMsg=told["id"])
    (answer,) = await whatsapp.messages(to=ANI)
    assert answer["content"]["quotedStanzaID"] == ask["id"]
    await whatsapp.write(ANI, SHOP, "Oke", quotes=answer["id"])
    told = (await shop.hears("chat.new_message", 3))[-1]
    quoted = "(id) => WPP.chat.getMessageById(id).then((found) => found.quotedStanzaID)"
    assert await shop.run(quoted, told["id"]) == answer["id"]


async def test_chats_with_something_unread_are_listed_until_read(shop, whatsapp):
    unread = "() => WPP.chat.list({onlyWithUnreadMessage: true}).then((all) => all.map((chat) => chat.unreadCount))"
    await whatsapp.write(ANI, SHOP, "Satu")
    await whatsapp.write(ANI, SHOP, "Dua")
    await shop.hears("chat.new_message", 2)
    assert await shop.run(unread) == [2]
    await shop.run("(id) => WPP.chat.markIsRead(id)", "62811000003@c.us")
    assert await shop.run(unread) == []


async def test_a_line_that_breaks_comes_back_and_tells_nothing_twice(platform, shop, whatsapp, monkeypatch):
    monkeypatch.setattr(Device, "seen", lambda *_: None)
    await whatsapp.write(ANI, SHOP, "Satu")
    (told,) = await shop.hears("chat.new_message")
    await whatsapp.edit(told["id"].split("_")[2], "Satu!")
    await shop.hears("chat.msg_edited")
    (device,) = platform.server.devices.by_token.values()
    first = device.line
    first.close()
    monkeypatch.undo()
    await whatsapp.write(ANI, SHOP, "Dua")
    assert [one["body"] for one in await shop.hears("chat.new_message", 2)] == ["Satu", "Dua"]
    assert device.line is not first
    await eventually(lambda: nothing_pending(whatsapp), 30)
    assert len(shop.heard("chat.new_message")) == 2
    assert len(shop.heard("chat.msg_edited")) == 1
    assert shop.heard("conn.stream_mode_changed").count("MAIN") == 1
