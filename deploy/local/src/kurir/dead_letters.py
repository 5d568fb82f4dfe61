"""The dead letters of a bus: found, sent on their way again, deleted."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts import headers, subjects
from contracts.commands import SendMessage
from contracts.topology import topology
from nats.js import JetStreamContext
from nats.js import errors as js_errors
from pydantic import ValidationError
from servicekit import stream_reader
from servicekit.bus_errors import translated
from servicekit.errors import KurirError

from kurir.home import Trouble
from kurir.topology import connect

STREAM = "DLQ"
_SIZE = "Nats-Msg-Size"
_NO_MESSAGE = (10_037, 10_043)
_DELETE_FAILED, _NOTHING_TO_DELETE = 10_057, ("no message found", "deleted message")
"""What the server answers to reading and to deleting a message that is not there."""
_NOT_THE_SENDERS = ("x-", "nats-")
"""Headers of the dead letter itself, or of the server."""


class Kept(Trouble):
    """Nothing is done to this dead letter; the others may still go."""


class Gone(Kept):
    """It is not there, or no longer."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"there is no dead letter {sequence}")


@dataclass(frozen=True)
class Letter:
    """One dead letter. *subject* is where the message was first published; *size* its payload's bytes."""

    sequence: int
    subject: str
    at: datetime
    headers: dict[str, str]
    size: int
    payload: bytes = b""

    @property
    def error(self) -> str:
        """Return why nobody could handle it."""
        return self.headers.get(headers.ERROR, "")

    @property
    def tries(self) -> int | None:
        """Return how often it was tried, None where its sender did not say."""
        said = self.headers.get(headers.TRIES, "")
        return int(said) if said.isascii() and said.isdigit() else None


class DeadLetters:
    """The stream of dead letters. Every method raises Trouble: one line a person can act on."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def find(self, pattern: str = ">", newest: int | None = None) -> tuple[int, list[Letter]]:
        """Return how many lie under a pattern of original subjects, and the last *newest*, without their payloads."""
        found: deque[Letter] = deque(maxlen=newest)
        total = 0
        with _one_line():
            async for one in stream_reader.read(self._js, STREAM, _subject(pattern), headers_only=True):
                found.append(_letter(one, one.metadata.sequence.stream, one.metadata.timestamp))
                total += 1
        return total, list(found)

    async def get(self, sequence: int) -> Letter:
        """Return one dead letter with its payload."""
        with _one_line(sequence):
            found = await self._js.get_msg(STREAM, sequence)
        if found.time is None:
            raise Trouble(f"the server does not say when dead letter {sequence} came")
        return _letter(found, sequence, found.time)

    async def replay(self, letter: Letter) -> None:
        """Publish it again where it came from and delete it here once the stream has it. Raises Kept, Trouble.

        Killed in between, it is in both places: the next replay is the same message to the stream for two minutes, and
        to its consumers for ever, since they are safe to run twice.
        """
        if refused := _refusal(letter):
            raise Kept(f"{letter.sequence} is not replayed: {refused}")
        again = {n: v for n, v in letter.headers.items() if not n.lower().startswith(_NOT_THE_SENDERS)}
        again[headers.MSG_ID] = f"replay.{letter.sequence}"
        try:
            with translated(letter.subject):
                await self._js.publish(letter.subject, letter.payload, timeout=5, headers=again)
        except KurirError as error:
            lasting = error.reason != "full" and not isinstance(error.__cause__, js_errors.NoStreamResponseError)
            raise (Trouble if lasting else Kept)(f"{letter.sequence} is not replayed: {error.detail}") from error
        except js_errors.APIError as error:
            raise Kept(f"{letter.sequence} is not replayed: {error.description or error}") from error
        with suppress(Gone):  # somebody else replays it at the same time
            await self.drop(letter.sequence)

    async def drop(self, sequence: int) -> None:
        """Delete one for good."""
        with _one_line(sequence):
            await self._js.delete_msg(STREAM, sequence)


@asynccontextmanager
async def opened(nats_url: str) -> AsyncIterator[DeadLetters]:
    """Yield the dead letters of a bus; raises Trouble where no server answers."""
    connection = await connect(nats_url)
    try:
        yield DeadLetters(connection.jetstream(timeout=15))
    finally:
        await connection.close()


def _letter(message: Any, sequence: int, at: datetime) -> Letter:
    about, payload = dict(message.headers or {}), message.data or b""
    subject = message.subject.removeprefix(subjects.dead_letter(""))
    return Letter(sequence, subject, at, about, int(about.pop(_SIZE, len(payload))), payload)


def _refusal(letter: Letter) -> str:
    """Return why publishing it again would be wrong, or nothing."""
    taken = (kept for stream in topology().streams if stream.name != STREAM for kept in stream.subjects)
    if not any(subjects.matches(pattern, letter.subject) for pattern in taken):
        return f"{letter.subject} is no subject of a stream of ours"  # $JS.API… would be obeyed by the server
    address, command = subjects.parse_send(letter.subject), _command(letter)
    if address is None or command is None:
        return ""
    if command.account_id != address[1]:
        return f"it names account {command.account_id}, its subject another; it can only be dropped"
    return f"a lane has decided this send command; its row's Retry sends it again: POST /v1/outbox/{command.row}/retry"


def _command(letter: Letter) -> SendMessage | None:
    """Return what a lane would read, None where it could not."""
    if not headers.version_of(letter.headers, SendMessage):
        return None
    try:
        return SendMessage.model_validate_json(letter.payload)
    except ValidationError:
        return None


def _subject(pattern: str) -> str:
    bare = pattern.removeprefix(subjects.dead_letter(""))
    tokens = bare.split(".")
    if not all(tokens) or ">" in tokens[:-1] or any(c.isspace() for c in bare):
        raise Trouble(f"{pattern!r} is no pattern of subjects, such as inbox.email.> or cmd.*.*.send.*.v1")
    return subjects.dead_letter(bare)


@contextmanager
def _one_line(sequence: int | None = None) -> Iterator[None]:
    try:
        with translated("the dead letters"):
            yield
    except KurirError as error:
        raise Trouble(error.detail) from error
    except js_errors.APIError as error:
        if sequence is not None and _missing(error):
            raise Gone(sequence) from error
        if isinstance(error, js_errors.NotFoundError):
            raise Trouble("this bus keeps no dead letters: kurir topology apply") from error
        raise Trouble(f"the dead letters: {error.description or error}") from error


def _missing(error: js_errors.APIError) -> bool:
    failed = error.err_code == _DELETE_FAILED and error.description in _NOTHING_TO_DELETE
    return failed or error.err_code in _NO_MESSAGE
