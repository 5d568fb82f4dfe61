"""Core request/reply: login answers and checks by whoever holds the session, tests of settings by any replica."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts import subjects
from contracts.base import Message
from contracts.channels import Channel
from contracts.requests import AnswerLogin, CheckRecipient, Reply, TestSettings
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from pydantic import ValidationError
from servicekit.bus import Bus
from servicekit.errors import KurirError
from servicekit.logs import get_logger
from servicekit.secrets import Sealer

from channelkit.hosting import SessionHost
from channelkit.kit import Kit
from channelkit.protocol import ChannelDriver, Credentials, NeedsLogin, Session
from channelkit.reporting import Reporter

M = TypeVar("M", bound=Message)
_SECONDS = 30.0
_TEST_SECONDS = 60.0
_log = get_logger("channelkit.requests")


async def serve(
    bus: Bus, subject: str, model: type[M], handler: Callable[[M], Awaitable[Reply]], *, queue: str = "",
    timeout: float = _SECONDS,
) -> Subscription:  # fmt: skip
    """Answer requests on *subject*; whatever goes wrong becomes a Reply, and nothing of a request is ever logged."""

    async def answer(msg: Msg) -> None:
        reply = await _reply(msg.data, model, handler, timeout)
        if msg.reply:
            try:
                await msg.respond(reply.model_dump_json().encode())
            except NatsError as error:
                _log.warning("a reply was not sent", subject=subject, error=type(error).__name__)

    return await bus.nc.subscribe(subject, queue=queue, cb=answer)


async def _reply(data: bytes, model: type[M], handler: Callable[[M], Awaitable[Reply]], timeout: float) -> Reply:
    try:
        return await asyncio.wait_for(handler(model.model_validate_json(data)), timeout)
    except ValidationError:
        return Reply(ok=False, error="malformed", detail=f"not a {model.__name__}")
    except TimeoutError:
        return Reply(ok=False, error="timeout", detail=f"no answer from the platform within {timeout:g} s")
    except NeedsLogin as error:
        return Reply(ok=False, error="needs_login", detail=str(error))
    except KurirError as error:
        return Reply(ok=False, error=error.reason, detail=error.detail)
    except Exception as error:
        _log.error("a request failed", model=model.__name__, error=type(error).__name__)  # its text may hold the code
        return Reply(ok=False, error="internal", detail=type(error).__name__)


class AccountRequests:
    """The requests only the holder of an account's session answers."""

    def __init__(self, kit: Kit, reporter: Reporter, host: SessionHost, session: Session) -> None:
        self._kit, self._reporter, self._host, self._session = kit, reporter, host, session
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Begin to answer."""
        kit, account_id = self._kit, self._host.account.account_id
        answer, check = (subjects.request(kit.channel, account_id, verb) for verb in ("answer", "check"))
        self._subscriptions = [
            await serve(kit.bus, answer, AnswerLogin, self._answer),
            await serve(kit.bus, check, CheckRecipient, self._check),
        ]

    async def stop(self) -> None:
        """Stop answering: a request then finds no responder, or the next holder."""
        subscriptions, self._subscriptions = self._subscriptions, []
        for subscription in subscriptions:
            try:
                await subscription.unsubscribe()
            except NatsError as error:
                _log.info("not unsubscribed", error=type(error).__name__)

    async def _answer(self, request: AnswerLogin) -> Reply:
        account_id, challenge = self._host.account.account_id, self._reporter.state.challenge
        if request.account_id != account_id:
            return Reply(ok=False, error="wrong_account")
        if challenge is None or challenge.id != request.challenge_id:
            return Reply(ok=False, error="stale_challenge", detail="the platform no longer asks this")
        text = self._kit.sealer.open(request.answer, f"answer/{account_id}").decode()
        await self._session.answer(request.challenge_id, text, resend=request.resend)
        return Reply(ok=True)

    async def _check(self, request: CheckRecipient) -> Reply:
        if request.account_id != self._host.account.account_id:
            return Reply(ok=False, error="wrong_account")
        exists = await self._session.check(request.address)
        if exists:
            return Reply(ok=True)
        return Reply(ok=False, error="cannot_tell" if exists is None else "no_such_recipient")


async def serve_tests(bus: Bus, driver: ChannelDriver, channel: Channel, sealer: Sealer) -> Subscription:
    """Answer tests of unsaved settings; a queue group lets one replica of all do it."""

    async def handle(request: TestSettings) -> Reply:
        if request.channel is not channel:
            return Reply(ok=False, error="wrong_channel")
        values = json.loads(sealer.open(request.credentials, f"test/{channel}"))
        steps = await driver.test(channel, request.settings, Credentials(values))
        failed = next((s for s in steps if not s.ok), None)
        return Reply(
            ok=failed is None,
            error=failed.name if failed else None,
            detail=failed.detail if failed else "",
            steps=steps,
        )

    return await serve(
        bus, subjects.test(channel), TestSettings, handle, queue=f"test_{channel}", timeout=_TEST_SECONDS
    )
