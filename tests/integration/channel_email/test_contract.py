"""E-mail keeps the contract of every channel: the real kit on a real NATS, against a real mail server."""

import pytest
from channel_email.channel import EmailChannel
from channel_email.settings import Settings
from channelkit.contract import ChannelContract
from contracts.channels import Channel
from contracts.ids import message_id

DOMAIN = "practice.test"


class MailWorld:
    """The practice mail system as the suite needs it."""

    channel = Channel.EMAIL

    def __init__(self, mail) -> None:
        self.mail = mail
        self._addresses = 0

    def driver(self):
        return EmailChannel(
            Settings(
                practice=True,
                send_timeout_seconds=2.0,
                retry_waits_seconds=[0.5],
                offline_wait_seconds=0.2,
                poll_seconds=0.5,
                imap_backoff_seconds=0.2,
            )
        )

    def settings(self, account_id):
        ports = self.mail.ports
        return {
            "smtp": {
                "host": "localhost",
                "port": ports.smtp,
                "security": "starttls",
                "from_address": f"{account_id}@{DOMAIN}",
            },
            "imap": {"host": "localhost", "port": ports.imaps, "security": "tls"},
            "ca_file": ports.cert_file,
        }

    def credentials(self, account_id):  # noqa: ARG002  # all accounts share one password
        return {"smtp_password": "secret"}

    def wrong_login(self, account_id):  # noqa: ARG002
        return {"credentials": {"smtp_password": "wrong"}}

    async def right_answer(self, account_id):  # noqa: ARG002
        return None

    def password(self, account_id):  # noqa: ARG002
        return None

    async def scan(self, account_id):
        pass

    def address(self, behaviour):
        self._addresses += 1
        local = {"accepts": "u", "refuses": "reject-", "defers": "defer"}[behaviour]
        return f"{local}{self._addresses}@{DOMAIN}"

    async def copies(self, command):
        wanted = message_id(command.row, command.wanted, DOMAIN)
        return (await self.mail.client.counts_by_message_id([wanted]))["copies"]

    async def write_to(self, account_id, text):
        await self.mail.client.inject(f"{account_id}@{DOMAIN}", text=text, sender="customer@elsewhere.test")


@pytest.fixture
def contract_nats_url(fresh_nats):
    return fresh_nats.url


class TestEmailChannel(ChannelContract):
    """All of it."""

    @pytest.fixture
    async def world(self, mail):
        # Whoever is deferred is refused once, as by greylisting.
        await mail.client.set_faults(refuse_4xx={"at": "rcpt", "recipient": "defer*", "times": 1})
        return MailWorld(mail)
