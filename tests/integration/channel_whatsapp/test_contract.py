# ruff: noqa: ARG002  # the world implements a protocol
"""WhatsApp keeps the contract of every channel: the real kit on a real NATS, against a real browser with wa-js."""

import itertools

import pytest
import pytest_asyncio
from channel_whatsapp.channel import WhatsAppChannel
from channel_whatsapp.parts import message_id
from channelkit.contract import ChannelContract
from channelkit.suite.rig import Rig
from contracts import sealing, subjects
from contracts.channels import Channel
from contracts.ids import platform_key
from contracts.state import ShownChallenge
from servicekit.kv import Bucket

pytestmark = pytest.mark.asyncio(loop_scope="module")


class WhatsAppWorld:
    """The practice WhatsApp as the suite needs it."""

    channel = Channel.WHATSAPP

    def __init__(self, whatsapp, settings) -> None:
        self.whatsapp, self._settings = whatsapp, settings
        self.rig: Rig | None = None
        self.scanned: list[str] = []
        self._numbers = itertools.count()
        self._phones: dict[str, str] = {}
        self.drivers: list[WhatsAppChannel] = []

    def driver(self):
        self.drivers.append(WhatsAppChannel(self._settings))
        return self.drivers[-1]

    def settings(self, account_id):
        return {}

    def credentials(self, account_id):
        return {}

    def wrong_login(self, account_id):
        return {"settings": {"login": "pairing"}}  # without a phone number

    async def right_answer(self, account_id):
        return None

    def password(self, account_id):
        return None

    async def scan(self, account_id):
        bucket = Bucket(self.rig.bus, subjects.bucket("sessions", self.channel), ShownChallenge)
        shown = (await bucket.get(subjects.shown_key(account_id))).value
        text = self.rig.sealer.open(shown.sealed, sealing.shown(account_id)).decode()
        self.scanned.append(text)
        await self.whatsapp.scan(text, self.phone(account_id))

    def phone(self, account_id):
        return self._phones.setdefault(account_id, f"+62811{len(self._phones):07d}")

    def address(self, behaviour):
        prefix = {"accepts": "+628120", "refuses": "+628130", "defers": "+628140"}[behaviour]
        return f"{prefix}{next(self._numbers):06d}"

    async def copies(self, command):
        wanted = message_id(platform_key(command.row, command.wanted, 0))
        return (await self.whatsapp.counts_by_message_id([wanted]))["copies"]

    async def write_to(self, account_id, text):
        await self.whatsapp.write("+628120000299", self.phone(account_id), text)


class TestWhatsAppChannel(ChannelContract):
    """All of it."""

    @pytest_asyncio.fixture(loop_scope="module")
    async def world(self, whatsapp, settings):
        await whatsapp.put_range("+628110000000", 10)
        await whatsapp.put_range("+628130000000", 100, exists=False)
        await whatsapp.put_range("+628140000000", 100)
        await whatsapp.set_faults(refuse_send={"recipient": "+62814*", "times": 1, "result": "ERROR_CANCELLED"})
        made = WhatsAppWorld(whatsapp, settings.model_copy(update={"refused_wait_seconds": 0.5}))
        yield made
        for driver in made.drivers:
            await driver.close()

    @pytest_asyncio.fixture(loop_scope="module")
    async def rig(self, contract_nats_url, world):
        """The world scans what the rig's replicas show."""
        world.rig = Rig(contract_nats_url, world)
        await world.rig.open()
        yield world.rig
        await world.rig.close()
