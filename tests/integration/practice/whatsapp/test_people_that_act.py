"""People have messages delivered, read them, answer, say STOP: by themselves, many at once."""

import pytest
from practice.testing import eventually

SHOP = "+62811000001"


async def acted(whatsapp, **least: int) -> dict:
    """The counts, once people have acted at least so often and none is about to."""

    async def enough() -> dict | None:
        counts = await whatsapp.counts()
        done = all(counts["acts"].get(name, 0) >= count for name, count in least.items())
        return counts if done and not counts["acts_waiting"] else None

    return await eventually(enough, 30)


@pytest.mark.parametrize(
    ("acts", "ack", "answer"),
    [("off", 1, None), ("receive", 2, None), ("read", 3, None), ("reply", 3, "Mau pesan"), ("stop", 3, "STOP")],
)
async def test_each_does_as_it_is(shop, whatsapp, acts, ack, answer):
    await whatsapp.put_number("+62812000001", acts=acts, says="Mau pesan")
    await shop.send_text("62812000001@c.us", "Promo")
    counts = await acted(whatsapp, **({"off": 0} if acts == "off" else {"delivered": 1}))
    assert counts["received"] == 1
    (sent,) = await whatsapp.messages(sender=SHOP)
    assert sent["ack"] == ack
    answers = [one["text"] for one in await whatsapp.messages(to=SHOP)]
    assert answers == ([answer] if answer else [])


async def test_many_numbers_at_once(shop, whatsapp):
    assert await whatsapp.put_range("+62813000000", 20, acts="reply") == 20
    for n in range(20):
        await shop.send_text(f"628130000{n:02}@c.us", f"Promo {n}")
    counts = await acted(whatsapp, reply=20)
    assert (counts["received"], counts["duplicates"], counts["by_sender"]) == (20, 0, {SHOP: 20})
    incoming = [one for one in await shop.hears("chat.new_message", 40) if not one["fromMe"]]
    assert len({one["id"] for one in incoming}) == len(incoming) == 20


async def test_two_accounts_write_to_each_other(open_page, shop, whatsapp):
    other = "+62812000009"
    await whatsapp.put_number(other, name="Other shop", lid_chats=False)
    async with open_page("other") as page:
        await whatsapp.scan(await page.qr_text(), other)
        await page.ready()
        await shop.send_text("62812000009@c.us", "Halo toko")
        (told,) = await page.hears("chat.new_message")
        assert (told["body"], told["fromMe"]) == ("Halo toko", False)
    (message,) = await whatsapp.messages(to=other)
    assert message["ack"] == 2
    await whatsapp.reset()
    assert (await whatsapp.counts())["received"] == 0
    assert len(await whatsapp.devices()) == 2
