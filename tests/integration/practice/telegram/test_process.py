"""The practice Telegram as a process of its own: it starts, stops, is killed and comes back."""

import asyncio
import signal

import pytest
from practice.telegram import running
from practice.telegram.testing import connected, signed_in
from telethon import errors, functions, types

from .conftest import ANNA, SHOP
from .test_messages import imported


async def test_it_runs_until_sigterm_and_keeps_its_key(tmp_path):
    key_file = tmp_path / "key.pem"
    async with running(key_file=key_file) as first:
        assert first.ports.host == "127.0.0.1"
        trusted = key_file.read_text()
        first.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.process.wait(), 20) == 0
    async with running(key_file=key_file) as again:
        assert key_file.read_text() == trusted
        await again.client.put_user(SHOP)
        async with connected(again.ports) as client:
            await client.send_code_request(SHOP)
            assert await client.sign_in(SHOP, await again.client.last_code(SHOP))


async def test_with_a_state_file_a_kill_forgets_nothing(tmp_path):
    state = {"key_file": tmp_path / "key.pem", "state_file": tmp_path / "state"}
    async with running(**state) as first:
        await first.client.put_people(SHOP, ANNA, name="x")
        async with signed_in(first.ports, first.client, SHOP) as shop:
            anna = await imported(shop, ANNA)
            request = functions.messages.SendMessageRequest(anna, "once", random_id=5)
            await shop(request)
            session = shop.session
        first.process.kill()
    with (tmp_path / "state").open("ab") as file:
        file.write(b"\x50\0\0\0half a record")
    async with running(**state) as again:
        session.set_dc(2, again.ports.host, again.ports.port)
        async with connected(again.ports, session) as shop:
            with pytest.raises(errors.RandomIdDuplicateError):
                await shop(request)
            assert [one.message for one in await shop.get_messages(anna, limit=9)] == ["once"]
            await shop(functions.messages.SendMessageRequest(anna, "after", random_id=6))
        counts = await again.client.counts()
        assert (counts["received"], counts["copies"], counts["refused_repeats"]) == (2, 2, 1)
    async with running(**state) as third:
        assert [one["text"] for one in await third.client.messages(to=ANNA)] == ["after", "once"]


async def test_thousands_of_people_are_made_in_one_call():
    async with running() as telegram:
        assert await telegram.client.put_people(first="+628110000000", count=5_000, acts="read") == 5_000
        assert (await telegram.client.user("+628110004999"))["acts"] == "read"


async def test_a_burst_on_one_connection_arrives_once_each():
    """A thousand messages at once: answers and pushes share packets; no rate is asserted."""
    async with running() as telegram:
        await telegram.client.put_people(SHOP, ANNA)
        async with signed_in(telegram.ports, telegram.client, SHOP) as shop:
            anna = await imported(shop, ANNA)
            ids = range(1, 1_001)
            sends = [shop(functions.messages.SendMessageRequest(anna, f"message {n}", random_id=n)) for n in ids]
            answers = await asyncio.gather(*sends)
        assert [one.id for one in answers] == list(ids)
        assert all(isinstance(one, types.UpdateShortSentMessage) for one in answers)
        counts = await telegram.client.counts_by_random_id(list(ids))
        assert (counts["received"], counts["duplicates"]) == (1_000, 0)
