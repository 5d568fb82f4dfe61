"""The practice Telegram as the contract's suite needs it."""

from channel_telegram.channel import TelegramChannel
from channel_telegram.sender import random_id
from contracts.channels import Channel
from contracts.ids import platform_key

PASSWORDS = {"acc2": "rahasia"}
CUSTOMER = "+6287700000001"


class TelegramWorld:
    """Implements channelkit.suite.rig.World."""

    channel = Channel.TELEGRAM

    def __init__(self, telegram, settings) -> None:
        self.telegram, self._settings = telegram, settings
        self._numbers = 0

    async def prepare(self):
        """Let every number exist that the suite may use."""
        client = self.telegram.client
        await client.set_rules(
            {"pattern": "+62811*", "exists": True}, {"pattern": "+62822*", "exists": True},
            {"pattern": "+62855*", "exists": True}, {"pattern": "+62877*", "exists": True},
        )  # fmt: skip
        await client.put_user("+62899000", banned=True)
        for account_id, password in PASSWORDS.items():
            await client.put_user(phone_of(account_id), password=password)
        await client.set_faults(
            refuse={"error": "SLOWMODE_WAIT_1", "method": "messages.send*", "recipient": "62855*", "times": 1}
        )

    def driver(self):
        return TelegramChannel(self._settings(self.telegram, send_timeout_seconds=2.0))

    def settings(self, account_id):
        return {"client_id": phone_of(account_id)}

    def credentials(self, account_id):  # noqa: ARG002  # the session is the credential
        return {}

    def wrong_login(self, account_id):  # noqa: ARG002
        return {"settings": {"client_id": "no phone number"}}

    async def right_answer(self, account_id):
        return await self.telegram.client.last_code(phone_of(account_id))

    def password(self, account_id):
        return PASSWORDS.get(account_id)

    async def scan(self, account_id):
        """Nothing to scan."""

    def address(self, behaviour):
        self._numbers += 1
        start = {"accepts": "+62822", "refuses": "+62833", "defers": "+62855"}[behaviour]
        return f"{start}{self._numbers:07}"

    async def copies(self, command):
        key = random_id(platform_key(command.row, command.wanted, 0))
        return (await self.telegram.client.counts_by_random_id([key]))["copies"]

    async def write_to(self, account_id, text):
        await self.telegram.client.write(CUSTOMER, phone_of(account_id), text)


def phone_of(account_id):
    """Return the number of an account of the tests: the same for the same name."""
    return f"+62811{sum(ord(c) * 257**n for n, c in enumerate(account_id)) % 10_000_000:07}"
