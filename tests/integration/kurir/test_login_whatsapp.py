"""The whole round on the practice WhatsApp: `kurir login` on one computer, and the server's replica is ready without a QR."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.settings import Settings
from channelkit.manager import ChannelManager
from channelkit.suite.rig import QUICK
from contracts.channels import Channel
from practice.whatsapp import WhatsAppPlatform, WhatsAppPractice, WhatsAppSettings
from servicekit.auth import Role
from servicekit.bus import Bus

from tests.integration.accounts.conftest import Service, eventually, make_settings, prepare, ready, serve
from tests.support.servers import NatsServer

SHOP, BUDI = "+62811000001", "+62811000002"
SLOW = 240.0


@pytest.fixture
async def platform() -> AsyncIterator[WhatsAppPlatform]:
    async with WhatsAppPlatform(WhatsAppSettings(deliver_seconds=0.01)) as running:
        yield running


@pytest.fixture
async def whatsapp(platform) -> AsyncIterator[WhatsAppPractice]:
    async with WhatsAppPractice(platform.ports.api_url) as client:
        await client.put_numbers([{"phone": SHOP, "name": "Toko"}, {"phone": BUDI, "name": "Budi"}])
        yield client


@pytest.fixture
async def service(fresh_nats: NatsServer, mongo_url: str, fresh_db: str, platform) -> AsyncIterator[Service]:
    settings = make_settings(
        fresh_nats.url, mongo_url, fresh_db, channels="whatsapp", login_urls={"whatsapp": platform.ports.page_url}
    )
    await prepare(fresh_nats.url, settings)
    async for running in serve(settings):
        yield await ready(running)


@pytest.fixture
async def server(service: Service, platform, tmp_path) -> AsyncIterator[ChannelManager]:
    """Run the channel's service with a volume of its own."""
    settings = Settings(
        nats_url=service.settings.nats_url, sealing_keys=service.settings.sealing_keys, address_hmac_keys="one",
        page_url=platform.ports.page_url, profiles=tmp_path / "volume", settle_seconds=600,
        **QUICK | {"probe_seconds": 5.0, "heartbeat_ttl_seconds": 30},
    )  # fmt: skip
    bus, driver = Bus(settings), WhatsAppChannel(settings)
    manager = ChannelManager(bus, Channel.WHATSAPP, driver, settings)
    await bus.start()
    await manager.start()
    yield manager
    await manager.stop()
    await driver.close()
    await bus.stop()


def on_screen(platform: WhatsAppPlatform) -> dict[tuple[str, ...], str]:
    """Return the QR texts that pages show, by the page's keys: what a phone's camera would see. They rotate."""
    return {offer.keys: ",".join([ref, *offer.keys]) for ref, offer in platform.server.devices._refs.items()}


@dataclass
class Person:
    """Sits before `kurir login` with a phone in the hand."""

    service: Service
    platform: WhatsAppPlatform
    whatsapp: WhatsAppPractice
    home: Path

    async def log_in(self, account: str) -> tuple[dict, str]:
        """Run the command, scan what its window shows, and return what it told."""
        before = on_screen(self.platform)
        token = self.service.token(Role.OPERATOR)["Authorization"].removeprefix("Bearer ")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "kurir", "login", account, "--json", "--wait", "120",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ, "HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state"),
                "KURIR_URL": str(self.service.http.base_url), "KURIR_TOKEN": token,
                "KURIR_LOGIN_HEADLESS": "1", "KURIR_LOGIN_SETTLE_SECONDS": "3",
            },
        )  # fmt: skip

        async def scanned() -> bool:
            for keys, text in on_screen(self.platform).items():
                if keys not in before:
                    return await self.whatsapp.scan(text, SHOP)
            return process.returncode is not None

        try:
            await eventually(scanned, SLOW)
            out, err = await asyncio.wait_for(process.communicate(), SLOW)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        assert process.returncode == 0, err.decode()
        return json.loads(out), err.decode()

    async def sees(self, account: str, status: str) -> None:
        """Wait for the account's state."""

        async def there() -> bool:
            return (await self.service.http.get(f"/v1/accounts/{account}/session")).json()["status"] == status

        await eventually(there, SLOW)


async def test_the_servers_replica_becomes_ready_without_a_qr_code_and_again_after_the_phone_unlinked_it(
    service: Service, server: ChannelManager, platform: WhatsAppPlatform, whatsapp: WhatsAppPractice, tmp_path
):
    person = Person(service, platform, whatsapp, tmp_path)
    account = (await service.http.post("/v1/accounts", json={"name": "Toko", "channel": "whatsapp"})).json()["id"]
    await person.sees(account, "awaiting_qr")
    of_the_server = on_screen(platform)
    told, words = await person.log_in(account)
    assert (told["ready"], told["import_state"]) == (True, "taken_over")
    assert "logged in; closing the browser" in words
    devices = await whatsapp.devices()
    assert [(one["phone"], one["open"]) for one in devices] == [(SHOP, True)], "one session, and the server has it open"
    lines = [line["text"] for line in (await service.http.get(f"/v1/accounts/{account}/logs")).json()["items"]]
    assert any("WhatsApp Automation is ready" in line for line in lines)
    assert not [text for text in of_the_server.values() if text in words + str(lines)]

    await whatsapp.log_out(SHOP)
    await person.sees(account, "logged_out")
    again, _ = await person.log_in(account)
    assert (again["ready"], again["session_import"] != told["session_import"]) == (True, True)
    assert [one["open"] for one in await whatsapp.devices()] == [True]
