"""The WhatsApp channel: opens sessions, each with its browser."""

import time
from collections.abc import Sequence
from typing import Any

from channelkit.browser import binary
from channelkit.browser.launching import Browsers
from channelkit.protocol import Capabilities, Credentials, Host
from contracts.channels import Channel
from contracts.requests import TestStep
from contracts.state import SessionStatus
from contracts.whatsapp import WhatsAppSettings
from pydantic import ValidationError
from servicekit.errors import KurirError, Permanent

from channel_whatsapp import parts
from channel_whatsapp.session import WhatsAppSession
from channel_whatsapp.settings import Settings
from channel_whatsapp.wajs import Bundle


class WhatsAppChannel:
    """Implements protocol.ChannelDriver."""

    channels: Sequence[Channel] = (Channel.WHATSAPP,)
    capabilities = Capabilities(
        can_ask=True, exclusive_session=True, parts=parts.count, send_timeout_seconds=60.0, close_seconds=30.0
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._browsers = Browsers(settings)
        self._bundle = Bundle(settings.wajs_file)

    async def open(self, host: Host) -> WhatsAppSession:
        """Begin to open the account's browser. Raises Permanent("invalid_settings")."""
        account = parse(host.account.settings)
        session = WhatsAppSession(
            host,
            self._settings,
            account,
            browsers=self._browsers,
            bundle=self._bundle,
            send_timeout=self._settings.send_timeout_seconds or self.capabilities.send_timeout_seconds,
        )
        await host.report(SessionStatus.CONNECTING)
        session.start()
        return session

    async def look_for_browser(self) -> None:
        """Raise BrowserMissing where there is none."""
        binary.find(self._settings.browser)

    async def look_for_bundle(self) -> None:
        """Raise Permanent("wajs_missing") where there is no wa-js."""
        await self._bundle.text()

    async def close(self) -> None:
        """End Playwright's driver; for tests, a service ends with it."""
        await self._browsers.close()

    async def test(self, channel: Channel, settings: dict[str, Any], credentials: Credentials) -> list[TestStep]:  # noqa: ARG002
        """Look whether the settings are complete, and whether this machine has what an account needs."""
        steps: list[TestStep] = []
        for name, check in (
            ("settings", lambda: parse(settings)),
            ("browser", lambda: binary.find(self._settings.browser)),
        ):
            began = time.perf_counter()
            try:
                check()
            except KurirError as error:
                steps.append(TestStep(name=name, ok=False, detail=error.detail, seconds=time.perf_counter() - began))
                break
            steps.append(TestStep(name=name, ok=True, seconds=time.perf_counter() - began))
        return steps


def parse(settings: dict[str, Any]) -> WhatsAppSettings:
    """Return the account's settings. Raises Permanent("invalid_settings") naming the fields, never their values."""
    try:
        return WhatsAppSettings.model_validate(settings)
    except ValidationError as error:
        fields = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in error.errors())
        raise Permanent("invalid_settings", fields) from error
