"""The practice mail system in a process of its own, an account on it, and a host that writes down what it hears."""

from datetime import UTC, datetime, timedelta

import pytest
from channel_email.settings import Settings
from contracts.commands import SendMessage
from contracts.email import EmailSettings
from practice.mail.process import running

from tests.integration.channel_email.recorder import SENDER, Recorder


@pytest.fixture
async def mail():
    async with running() as platform:
        yield platform


@pytest.fixture
def app_settings():
    return Settings(
        practice=True,
        retry_waits_seconds=[60, 300],
        imap_backoff_seconds=0.2,
        poll_seconds=0.5,
        imap_timeout_seconds=5,
        command_timeout_seconds=5,
        offline_wait_seconds=0.2,
    )


@pytest.fixture
def account(mail):
    return EmailSettings.model_validate(
        {
            "smtp": {
                "host": "localhost",
                "port": mail.ports.smtp,
                "security": "starttls",
                "from_address": SENDER,
                "from_name": "Toko",
            },
            "imap": {"host": "localhost", "port": mail.ports.imaps, "security": "tls"},
            "ca_file": mail.ports.cert_file,
        }
    )


@pytest.fixture
def host(account):
    return Recorder(account)


@pytest.fixture
def command():
    def make(n, address=None, **changes):
        given = {
            "id": f"c{n}",
            "source": "campaigns",
            "account_id": "acc",
            "row": f"row{n}",
            "batch": "camp.1",
            "not_after": datetime.now(UTC) + timedelta(hours=1),
            "to": {"address": address or f"u{n}@practice.test", "name": f"U {n}"},
            "content": {"subject": f"Halo {n}", "text": f"Isi {n}\n.\nakhir"},
        }
        return SendMessage.model_validate(given | changes)

    return make
