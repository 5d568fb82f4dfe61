"""Sends one message after another through the page, and asks the page about those whose fate is in doubt."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

from channelkit.protocol import Host, OutcomeUnknown, Outgoing
from servicekit.errors import Permanent, Retry, Unavailable

from channel_whatsapp import parts
from channel_whatsapp.fates import Fates, Page
from channel_whatsapp.messages import FAILED, SENT
from channel_whatsapp.page import File, Handed, PageGone, PageRefused, WhatsAppPage
from channel_whatsapp.parts import Part
from channel_whatsapp.peers import Peers
from channel_whatsapp.settings import Settings

_AGAIN_SECONDS = 5.0
_STRANGE_SECONDS = 30.0
_TYPING_PER_LETTER = 0.05
_TYPING_TOGETHER_SECONDS = 20.0
"""For all bubbles of a message: typing must not use up the time a send may take."""
_NOT_LEFT = {"ERROR_UPLOAD", "ERROR_CANCELLED", "ERROR_EXPIRED"}
"""Results (`SendMsgResult`) after which the page has not sent the message."""
_NO_NETWORK = "ERROR_NETWORK"
"""The page gave up, but the server may have had it: only the answer may be missing."""
_NOBODY_THERE = {"invalid_wid"}
"""wa-js's codes for an id that cannot be: the recipient's trouble, and no one else's."""


class Account(Protocol):
    """What sending needs of its session."""

    host: Host
    settings: Settings
    peers: Peers
    typing_seconds: float

    @property
    def life(self) -> Page:
        """Return the browser's life."""
        ...

    @property
    def fates(self) -> Fates:
        """Return what is known of messages handed over."""
        ...


class WhatsAppSender:
    """Implements protocol.Sender."""

    def __init__(self, account: Account) -> None:
        self._account = account

    async def send(self, out: Outgoing, following: Callable[[], Outgoing | None]) -> Sequence[str]:  # noqa: ARG002
        """Send what an earlier try has not, bubble by bubble. The claim is made right before the first one leaves."""
        async with self._account.life.sending:
            page, wid = await self._reach(out.command.to.address)
            wanted, claimed = parts.parts(out.command.content), False
            if not any(part.text or part.attachment for part in wanted):
                raise Permanent("empty_message", "there is neither text nor file")
            typing = min(self._account.typing_seconds, _TYPING_TOGETHER_SECONDS / len(wanted))
            while (index := len(out.parts_done)) < len(wanted):
                message_id = parts.message_id(out.platform_key(index))
                if claimed:
                    self._account.fates.handed(message_id)  # cut off before it leaves, it is known not to have
                message = await self._prepare(page, wid, wanted[index], typing)
                if not claimed:
                    await self._claim(message, out)
                    claimed = True
                    if len(out.parts_done) != index:  # the claim has just read what an earlier holder sent
                        await message.forget()
                        continue
                await self._hand(message, message_id)
                await out.part_sent(message_id)
        return list(out.parts_done)

    async def abandon(self) -> None:
        """Nothing rides along here."""

    async def close(self) -> None:
        """Nothing to close: the page is the session's."""

    async def _reach(self, address: str) -> tuple[WhatsAppPage, str]:
        try:
            page = await self._account.life.ready_page(_AGAIN_SECONDS)
            return page, await self._account.peers.reach(page, address)
        except PageGone as error:
            raise Retry(_AGAIN_SECONDS, f"the browser is not ready: {error}") from error
        except PageRefused as error:
            raise _refusal(error) from error
        except Unavailable as error:
            raise Retry(error.after_seconds, "what is known of the recipient could not be kept") from error

    async def _prepare(self, page: WhatsAppPage, wid: str, part: Part, typing: float) -> "_Message":
        """Bring the file in and show "typing…": nothing of it is seen by the recipient."""
        file, token = None, ""
        try:
            if part.attachment:
                file = File(
                    await self._account.host.get_media(part.attachment.object),
                    parts.kind(part.attachment),
                    part.attachment.filename,
                    part.attachment.content_type,
                    parts.is_voice(part.attachment),
                )
                token = await page.take_in(file)
            await self._type(page, wid, part.text, typing)
        except PageGone as error:
            raise Retry(_AGAIN_SECONDS, f"the browser went away: {error}") from error
        except PageRefused as error:
            raise _refusal(error) from error
        except Unavailable as error:
            raise Retry(error.after_seconds, "the media store did not answer") from error
        return _Message(page, wid, part.text, file, token)

    async def _type(self, page: WhatsAppPage, wid: str, text: str, longest: float) -> None:
        seconds = min(longest, 1 + len(text) * _TYPING_PER_LETTER)
        if seconds > 0:
            with contextlib.suppress(PageRefused):  # a courtesy: the message does not depend on it
                await page.typing(wid, seconds)
            await asyncio.sleep(seconds)

    async def _claim(self, message: "_Message", out: Outgoing) -> None:
        try:
            await out.claim()
        except BaseException:
            await asyncio.shield(message.forget())
            raise

    async def _hand(self, message: "_Message", message_id: str) -> None:
        """Hand one message over. Once this has begun, only the page can say what became of it."""
        self._account.fates.handed(message_id)
        try:
            handed = await message.send(message_id)
        except PageGone as error:
            raise OutcomeUnknown(str(error)) from error
        except PageRefused as error:
            if not await self._never_left(message, message_id):
                raise OutcomeUnknown(str(error)) from error
            raise _refusal(error) from error
        if not handed.sent:
            await self._refused(message, message_id, handed)

    async def _never_left(self, message: "_Message", message_id: str) -> bool:
        try:
            known = await message.page.known(message.wid, message_id)
        except (PageGone, PageRefused):
            return False
        return not known.found and known.way in {"asked", "taken_back"}

    async def _refused(self, message: "_Message", message_id: str, handed: Handed) -> None:
        """The page's answer was not OK. Raises what it means; returns where the server has the message after all."""
        if handed.result in _NOT_LEFT:
            raise Retry(self._account.settings.refused_wait_seconds, f"WhatsApp answered {handed.result}")
        try:
            known = await message.page.known(message.wid, message_id)
        except (PageGone, PageRefused) as error:
            raise OutcomeUnknown(f"{handed.result}: {error}") from error
        if known.found and known.ack >= SENT:
            return
        if handed.result != _NO_NETWORK and known.found and known.ack <= FAILED:
            raise Permanent("refused", f"WhatsApp refused the message: {handed.result}")
        raise OutcomeUnknown(f"WhatsApp answered {handed.result}")


class _Message:
    """A part with its file in the page, ready to leave."""

    def __init__(self, page: WhatsAppPage, wid: str, text: str, file: File | None, token: str) -> None:
        self.page, self.wid, self.token = page, wid, token
        self._text, self._file = text, file

    async def forget(self) -> None:
        """Give the file in the page back: this part is not sent now."""
        if self.token:
            await _forget(self.page, self.token)

    async def send(self, message_id: str) -> Handed:
        if self._file is None:
            return await self.page.send_text(self.wid, message_id, self._text)
        return await self.page.send_file(self.wid, message_id, self.token, self._file, self._text)


def _refusal(error: PageRefused) -> Exception:
    if error.code in _NOBODY_THERE:
        return Permanent("no_such_recipient", error.words)
    return Retry(_STRANGE_SECONDS, f"the page: {error}")


async def _forget(page: WhatsAppPage, token: str) -> None:
    try:
        await page.forget(token)
    except (PageGone, PageRefused):
        return
