"""The Telegram channel: opens sessions and tests settings."""

import time
from collections.abc import Sequence
from typing import Any

from channelkit.protocol import Capabilities, Credentials, Host
from contracts.channels import Channel
from contracts.requests import TestStep
from servicekit.errors import Permanent

from channel_telegram.client.connection import trust
from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.link import Gateway
from channel_telegram.login_words import NO_API, OPERATORS
from channel_telegram.peers import PHONE
from channel_telegram.session import TelegramSession
from channel_telegram.settings import Settings


class TelegramChannel:
    """Implements protocol.ChannelDriver."""

    channels: Sequence[Channel] = (Channel.TELEGRAM,)
    capabilities = Capabilities(
        idempotent_send=True, exclusive_session=True, bubbles=True, at_once=8, send_timeout_seconds=30.0
    )  # fmt: skip

    def __init__(self, settings: Settings) -> None:
        """Trust the practice server's key, where one is set. Raises ValueError outside practice, OSError."""
        if settings.server_key_file is not None:
            if not settings.practice:
                raise ValueError("CHANNEL_TELEGRAM_SERVER_KEY_FILE is for practice alone")
            trust(settings.server_key_file.read_text("ascii"))
        timeout = settings.send_timeout_seconds or self.capabilities.send_timeout_seconds
        limit = min(settings.request_timeout_seconds, timeout * 0.9)  # the rest is the kit's, to write the outcome
        hold = settings.own_hold_seconds or 2 * timeout + 15
        self._settings = settings.model_copy(update={"request_timeout_seconds": limit, "own_hold_seconds": hold})
        self._gateway = Gateway(self._settings)

    async def open(self, host: Host) -> TelegramSession:
        """Begin to log the account in. Raises Permanent("invalid_settings")."""
        session = TelegramSession(host, self._gateway, phone_of(host.account.settings))
        session.start()
        return session

    async def test(self, channel: Channel, settings: dict[str, Any], credentials: Credentials) -> list[TestStep]:  # noqa: ARG002
        """Try settings that are not saved: the number's form, the application, the server. No code is sent."""
        steps: list[TestStep] = []
        try:
            phone_of(settings)
        except Permanent as error:
            return [TestStep(name="settings", ok=False, detail=error.detail)]
        steps.append(TestStep(name="settings", ok=True, detail="a phone number"))
        if not self._gateway.api.id or not self._gateway.api.hash:
            return [*steps, TestStep(name="api id", ok=False, detail=NO_API)]
        return [*steps, TestStep(name="api id", ok=True, detail="set"), await self._connect()]

    async def _connect(self) -> TestStep:
        began = time.perf_counter()
        try:
            connection = await self._gateway.connect(None, None)
        except (ConnectionLost, TelegramError) as error:
            told = OPERATORS.get(error.name, error.words) if isinstance(error, TelegramError) else str(error)
            return TestStep(name="connect", ok=False, detail=told, seconds=time.perf_counter() - began)
        await connection.close()
        return TestStep(name="connect", ok=True, detail="encrypted", seconds=time.perf_counter() - began)


def phone_of(settings: dict[str, Any]) -> str:
    """Return the account's phone number. Raises Permanent("invalid_settings")."""
    phone = settings.get("client_id")
    if not isinstance(phone, str) or not PHONE.match(phone):
        raise Permanent("invalid_settings", "client_id: must be a phone number with its country code")
    return phone
