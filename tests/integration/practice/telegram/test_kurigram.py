"""kurigram (imported as pyrogram), a client unrelated to Telethon, signs in and talks: the server agrees with more than one."""

from contextlib import asynccontextmanager
from hashlib import sha256

import pyrogram
import pytest
from practice.testing import eventually
from pyrogram import errors, raw
from pyrogram.connection import Connection
from pyrogram.connection.transport import (
    TCPAbridgedO,
    TCPFull,
    TCPIntermediate,
    TCPIntermediateO,
    TCPIntermediatePadded,
)
from pyrogram.crypto import rsa
from pyrogram.handlers import EditedMessageHandler, MessageHandler

from .conftest import ANNA, SHOP


@asynccontextmanager
async def kurigram(platform, name, **options):
    """Connect a client whose every connection goes to the practice server."""
    ports = platform.dcs

    class Local(Connection):
        def __init__(self, dc_id, **more) -> None:
            super().__init__(dc_id, **{**more, "server_address": "127.0.0.1", "port": ports[dc_id]})

    key = platform.server_key
    rsa.server_public_keys[key.fingerprint] = rsa.PublicKey(key.modulus, 65537)
    client = pyrogram.Client(name, 1, "practice", in_memory=True, connection_factory=Local, **options)
    await client.connect()
    try:
        yield client
    finally:
        if client.is_initialized:
            await client.terminate()
        await client.disconnect()


async def sign_in(client, telegram, phone):
    sent = await client.send_code(phone)
    return await client.sign_in(phone, sent.phone_code_hash, await telegram.last_code(phone))


#: None is its own choice, abridged.
TRANSPORTS = [None, TCPFull, TCPIntermediate, TCPAbridgedO, TCPIntermediateO, TCPIntermediatePadded]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_it_signs_in_by_code_over_each_transport(platform, telegram, transport):
    async with kurigram(platform, "shop", **({"protocol_factory": transport} if transport else {})) as client:
        sent = await client.send_code(SHOP)
        with pytest.raises(errors.PhoneCodeInvalid):
            await client.sign_in(SHOP, sent.phone_code_hash, "0")
        me = await client.sign_in(SHOP, sent.phone_code_hash, await telegram.last_code(SHOP))
        assert (me.first_name, me.username) == ("Toko Halo", "tokohalo")


async def test_it_passes_the_two_step_password_and_moves_to_its_dc(platform, telegram):
    await telegram.put_user(SHOP, password="s3cret", hint="the usual", home_dc=4)
    async with kurigram(platform, "shop") as client:
        with pytest.raises(errors.SessionPasswordNeeded):
            await sign_in(client, telegram, SHOP)
        assert await client.get_password_hint() == "the usual"
        with pytest.raises(errors.PasswordHashInvalid):
            await client.check_password("wrong")
        assert (await client.check_password("s3cret")).first_name == "Toko Halo"


async def test_it_exchanges_messages_both_ways(platform, telegram, shop):
    got = []
    async with kurigram(platform, "anna") as anna:
        await sign_in(anna, telegram, ANNA)
        anna.add_handler(MessageHandler(lambda _, message: got.append(message.text)))
        anna.add_handler(EditedMessageHandler(lambda _, message: got.append("edited: " + message.text)))
        await anna.initialize()
        sent = await shop.send_message("anna", "from Telethon")
        await eventually(lambda: _holds(got, "from Telethon"))
        await shop.edit_message("anna", sent.id, "again")
        await eventually(lambda: _holds(got, "edited: again"))
        answer = await anna.send_message("tokohalo", "from <b>kurigram</b>", parse_mode=pyrogram.enums.ParseMode.HTML)
        assert (answer.text, answer.outgoing) == ("from kurigram", True)
        (heard,) = await shop.get_messages("anna", limit=1)
        assert heard.message == "from kurigram"
        assert heard.entities[0].length == len("kurigram")
        with pytest.raises(errors.RandomIdDuplicate):
            await _twice(anna, await anna.resolve_peer("tokohalo"))
        assert (await telegram.counts_by_random_id([77]))["copies"] == 1


async def _holds(got, what):
    return what in got


async def _twice(client, peer):
    for _ in range(2):
        # past `invoke`, which tries again after every error 500
        await client.session.send(raw.functions.messages.SendMessage(peer=peer, message="once", random_id=77))


async def test_it_sends_and_fetches_files(platform, telegram, shop, tmp_path):
    content = bytes(range(256)) * 2_000
    file = tmp_path / "menu.bin"
    file.write_bytes(content)
    async with kurigram(platform, "anna") as anna:
        await sign_in(anna, telegram, ANNA)
        sent = await anna.send_document("tokohalo", str(file), caption="the menu")
        (told,) = await telegram.messages(to=SHOP)
        assert told["media"]["sha256"] == sha256(content).hexdigest()
        fetched = await anna.download_media(sent, in_memory=True)
        assert bytes(fetched.getbuffer()) == content
