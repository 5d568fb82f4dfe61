"""The e-mail channel: opens sessions and tests settings."""

import time
from collections.abc import Sequence
from typing import Any

from channelkit.protocol import Capabilities, Credentials, Host
from contracts.channels import Channel
from contracts.email import EmailSettings
from contracts.requests import TestStep
from contracts.state import SessionStatus
from pydantic import ValidationError
from servicekit.errors import Permanent

from channel_email.attachments import AttachmentCache
from channel_email.checks import test_settings
from channel_email.refusals import Refusals
from channel_email.session import EmailSession
from channel_email.settings import Settings


class EmailChannel:
    """Implements protocol.ChannelDriver."""

    channels: Sequence[Channel] = (Channel.EMAIL,)
    capabilities = Capabilities(bubbles=False, send_timeout_seconds=60.0)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._refusals = Refusals()
        self._cache = AttachmentCache(settings.attachment_cache_bytes)

    async def open(self, host: Host) -> EmailSession:
        """Begin to connect the account. Raises Permanent("invalid_settings")."""
        timeout = self._settings.send_timeout_seconds or self.capabilities.send_timeout_seconds
        session = EmailSession(
            host,
            self._settings,
            parse(host.account.settings),
            cache=self._cache,
            refusals=self._refusals,
            send_timeout=timeout,
        )
        await host.report(SessionStatus.CONNECTING)
        session.start()
        return session

    async def test(self, channel: Channel, settings: dict[str, Any], credentials: Credentials) -> list[TestStep]:  # noqa: ARG002
        """Try settings that are not saved, step by step, with the server's own words."""
        began = time.perf_counter()
        try:
            parsed = parse(settings)
        except Permanent as error:
            return [TestStep(name="settings", ok=False, detail=error.detail, seconds=time.perf_counter() - began)]
        return await test_settings(parsed, credentials, self._settings)


def parse(settings: dict[str, Any]) -> EmailSettings:
    """Return the account's settings. Raises Permanent("invalid_settings") naming the fields, never their values."""
    try:
        return EmailSettings.model_validate(settings)
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Permanent("invalid_settings", fields) from error
