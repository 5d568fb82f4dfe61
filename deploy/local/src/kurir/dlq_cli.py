"""`kurir dlq`: what nobody could handle, in the hands of a person."""

import asyncio
import json as jsonlib
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from kurir import letter_text
from kurir.dead_letters import DeadLetters, Kept, opened
from kurir.home import Trouble
from kurir.options import HomeOption, JsonOption, NatsOption, bus_at

app = typer.Typer(
    help="Dead letters: what nobody could handle. They block nothing and are kept for 30 days.", no_args_is_help=True
)
Sequences = Annotated[list[int] | None, typer.Argument(min=1, help="As kurir dlq list names them.", show_default=False)]
Pattern = Annotated[
    str | None, typer.Option("--subject", help="Those of these original subjects, such as 'inbox.email.>'.")
]


@app.command("list")
def list_letters(
    subject: Pattern = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="The newest so many.")] = 50,
    nats_url: NatsOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """List them, the newest last: sequence, time, tries, subject, error."""

    async def work() -> None:
        async with opened(bus_at(nats_url, home)) as letters:
            total, found = await letters.find(subject or ">", limit)
        if json:
            print(jsonlib.dumps({"total": total, "items": [letter_text.summary(one) for one in found]}))
        elif not found:
            print("no dead letters" + (f" under {subject}" if subject else ""))
        else:
            print("\n".join([letter_text.HEADING, *map(letter_text.line, found)]))
            if total > len(found):
                print(f"the newest {len(found)} of {total}; --limit shows more")

    asyncio.run(work())


@app.command()
def show(
    sequence: Annotated[int, typer.Argument(min=1)],
    content: Annotated[bool, typer.Option("--content", help="Also what the message says, and to whom.")] = False,
    nats_url: NatsOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Show one with headers and payload; addresses and what people wrote only with --content."""

    async def work() -> None:
        async with opened(bus_at(nats_url, home)) as letters:
            letter = await letters.get(sequence)
        if json:
            print(jsonlib.dumps(letter_text.whole(letter, content=content)))
        else:
            print(letter_text.text(letter, content=content))

    asyncio.run(work())


@app.command()
def replay(
    sequences: Sequences = None, subject: Pattern = None, nats_url: NatsOption = None, home: HomeOption = None
) -> None:
    """Publish them again where they came from; each leaves the dead letters once its stream has it.

    A send command that could be read is refused: its row's Retry sends it again. Exit code 1 where any stays.
    """

    async def one(letters: DeadLetters, sequence: int) -> None:
        letter = await letters.get(sequence)
        await letters.replay(letter)
        print(letter_text.printable(f"replayed {sequence} to {letter.subject}"))

    async def work() -> bool:
        async with opened(bus_at(nats_url, home)) as letters:
            return await _each(await _chosen(letters, sequences, subject), lambda n: one(letters, n))

    raise typer.Exit(0 if asyncio.run(work()) else 1)


@app.command()
def drop(
    sequences: Sequences = None,
    subject: Pattern = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    nats_url: NatsOption = None,
    home: HomeOption = None,
) -> None:
    """Delete them for good."""
    url = bus_at(nats_url, home)

    async def choose() -> list[int]:
        async with opened(url) as letters:
            return await _chosen(letters, sequences, subject)

    async def one(letters: DeadLetters, sequence: int) -> None:
        await letters.drop(sequence)
        print(f"dropped {sequence}")

    async def work() -> bool:
        async with opened(url) as letters:
            return await _each(chosen, lambda n: one(letters, n))

    chosen = asyncio.run(choose())  # what comes while a person thinks is not dropped
    if chosen and not yes:
        typer.confirm(f"Drop {_so_many(chosen)} for good?", abort=True)
    raise typer.Exit(0 if asyncio.run(work()) else 1)


async def _chosen(letters: DeadLetters, sequences: list[int] | None, pattern: str | None) -> list[int]:
    """Return the sequences that were named, or those under the pattern; raises Trouble where one does not exist."""
    if bool(sequences) == bool(pattern):
        raise Trouble("name sequences, or --subject PATTERN, one of the two")
    if pattern:
        found = [letter.sequence for letter in (await letters.find(pattern))[1]]
        if not found:
            print(f"no dead letters under {pattern}")
        return found
    named = sorted(set(sequences or ()))
    for sequence in named:
        await letters.get(sequence)
    return named


async def _each(chosen: list[int], work: Callable[[int], Awaitable[None]]) -> bool:
    """Do it to each; one that stays holds back no other. Return whether none stayed."""
    stayed = 0
    for sequence in chosen:
        try:
            await work(sequence)
        except Kept as kept:
            stayed += 1
            typer.echo(f"error: {letter_text.printable(str(kept))}", err=True)
    return not stayed


def _so_many(chosen: list[int]) -> str:
    if len(chosen) == 1:
        return f"dead letter {chosen[0]}"
    return f"{len(chosen)} dead letters ({chosen[0]} to {chosen[-1]})"
