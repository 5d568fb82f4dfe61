"""A practice mail system per test, on free ports, in this process."""

import ssl
from collections.abc import AsyncIterator

import pytest
from practice.client import MailClient
from practice.mail import MailPlatform, MailSettings
from practice.testing import SmtpWire


@pytest.fixture
async def platform() -> AsyncIterator[MailPlatform]:
    settings = MailSettings(reply_delay_seconds=0, allow_plain_auth=True, size_limit_bytes=1_000_000)
    async with MailPlatform(settings) as running:
        yield running


@pytest.fixture
async def mail(platform) -> AsyncIterator[MailClient]:
    async with MailClient(platform.ports.api_url) as client:
        yield client


@pytest.fixture
def tls(platform) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=platform.ports.cert_file)


@pytest.fixture
async def wire(platform) -> AsyncIterator[SmtpWire]:
    """A raw connection, signed in as anna."""
    async with SmtpWire.open(platform.ports.host, platform.ports.smtp) as opened:
        assert (await opened.login("anna@practice.test")).startswith("235")
        yield opened
