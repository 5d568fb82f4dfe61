"""The `kurir` command."""

import asyncio
import json as jsonlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kurir import background, demo, dlq_cli, status, tokens, topology
from kurir.home import Home, Trouble
from kurir.login import cli as login_cli
from kurir.options import HomeOption, JsonOption, NatsOption, bus_at, home_at
from kurir.platform import Options
from kurir.practice import told

app = typer.Typer(
    help="Kurir on this machine: the bus, the store and every service as processes.",
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
topology_app = typer.Typer(help="The bus's streams and buckets.", no_args_is_help=True)
app.add_typer(topology_app, name="topology")
app.add_typer(dlq_cli.app, name="dlq")
app.command("login")(login_cli.login)

out, err = Console(), Console(stderr=True)


@app.command()
def up(
    home: HomeOption = None,
    practice: Annotated[
        bool, typer.Option(help="Also start the practice platforms: a mail server and the like, to rehearse with.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it up in the background.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", hidden=True, help="Print no token: the output is a log.")] = False,
) -> None:
    """Start everything. Ctrl-C stops all; --detach leaves it up (kurir down stops it).

    NATS_URL and MONGO_URL, where set, are used instead of starting a bus or a store here.
    """
    place = home_at(home)
    if detach:
        _announce(place)(background.detach(place, practice=practice))
    else:
        announce = _say_up if quiet else _announce(place)
        asyncio.run(background.foreground(place, Options(practice=practice), announce))


@app.command()
def down(
    home: HomeOption = None,
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Then remove the data folder: accounts, messages, keys, everything.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before wiping.")] = False,
) -> None:
    """Stop what kurir up started."""
    place = home_at(home)
    was_up = background.stop(place)
    out.print("stopped" if was_up else "nothing was up", highlight=False)
    if wipe:
        if not yes:
            typer.confirm(f"Remove {place.folder} for good?", abort=True)
        place.wipe()
        out.print(f"removed {place.folder}", highlight=False, soft_wrap=True)


@app.command("status")
def show_status(home: HomeOption = None, json: JsonOption = False) -> None:
    """Say what is up; exit code 0 when everything is ready, 3 when not."""
    found = status.read(home_at(home))
    if json:
        print(jsonlib.dumps(found))
    elif found["up"]:
        out.print(status.table(found))
        for line in status.moved(found["moved_ports"]):
            out.print(line, highlight=False, soft_wrap=True)
    else:
        out.print(
            f"Kurir is not up in {found['home']}. Start it with: {_command()} up", highlight=False, soft_wrap=True
        )
    raise typer.Exit(0 if found.get("ready") else 3)


@app.command()
def logs(
    part: Annotated[str | None, typer.Argument(help="A part's name, such as campaigns; none: all of them.")] = None,
    home: HomeOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many last lines.")] = 50,
) -> None:
    """Show the log files of the parts."""
    place = home_at(home)
    files = sorted(place.logs.glob("*.log"))
    if part:
        files = [f for f in files if f.stem == part]
    if not files:
        known = ", ".join(f.stem for f in sorted(place.logs.glob("*.log"))) or "none yet"
        raise Trouble(f"no log of {part or 'anything'} in {place.logs}; there is: {known}")
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *map(str, files)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def token(
    home: HomeOption = None,
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "admin",
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long it is valid.")] = 12.0,
) -> None:
    """Print an access token for the REST APIs of this machine's platform."""
    print(tokens.issue(home_at(home).open(), role, hours))


@app.command()
def url(part: Annotated[str, typer.Argument(help="A service, such as accounts.")], home: HomeOption = None) -> None:
    """Print where a service listens: the usual port, or another where that was taken."""
    place = home_at(home)
    state = place.state()
    if state is None:
        raise Trouble(f"Kurir is not up in {place.folder}: start it with {_command()} up")
    known = state["services"] | {f"practice-{name}": at["api"] for name, at in state["practice_platforms"].items()}
    if part not in known:
        raise Trouble(f"there is no {part!r}; there is: {', '.join(known)}")
    print(known[part])


@topology_app.command("apply")
def topology_apply(nats_url: NatsOption = None, home: HomeOption = None) -> None:
    """Create or update every stream and bucket; refuses what would lose data."""
    asyncio.run(topology.apply(bus_at(nats_url, home)))
    out.print("the bus is as the contracts say")


@topology_app.command("check")
def topology_check(nats_url: NatsOption = None, home: HomeOption = None) -> None:
    """List what differs from the contracts; exit code 3 when anything does."""
    differences = asyncio.run(topology.check(bus_at(nats_url, home)))
    for line in differences:
        print(line)
    raise typer.Exit(3 if differences else 0)


@app.command("demo")
def run_demo(
    channel: Annotated[str, typer.Option(help=f"The channel to rehearse: {', '.join(demo.STORIES)}.")] = "email",
    recipients: Annotated[int, typer.Option(min=10, max=1_000_000, help="How many people to write to.")] = 200,
    exit_after: Annotated[
        bool, typer.Option("--exit", help="Own ports and folder; stop everything; exit 0 only if the numbers add up.")
    ] = False,
    home: HomeOption = None,
    json: JsonOption = False,
) -> None:
    """Rehearse a channel's whole story on its practice platform, over the REST APIs alone.

    An account is connected (email: tested first; telegram: by the code that is sent; whatsapp: by scanning the QR code
    with the practice phone), contacts are imported, a campaign is processed and watched. Then one in ten has replied, one
    reply is answered (pressed twice, sent once), one recipient has unsubscribed, and those who cannot be reached have
    failed with the reason. The table at the end counts by the outbox and, apart from it, by the practice platform.

    Without --exit it uses the platform of the data folder, starts it where it is not up, and leaves it up.
    """
    place = None if exit_after else home_at(home)
    result = asyncio.run(demo.run(channel, recipients, place, err if json else out))
    if json:
        print(jsonlib.dumps(result.as_dict()))
    else:
        out.print(result.table())
    for line in result.troubles():
        err.print(f"error: {line}", highlight=False, soft_wrap=True)
    if not result.troubles() and place and not json:
        _announce(place)(place.state() or {})
    raise typer.Exit(1 if result.troubles() else 0)


def _say_up(state: dict[str, Any]) -> None:
    print(f"{state['started_at']} up: {', '.join(state['processes'])}", *status.moved(state["moved_ports"]), flush=True)


def _announce(home: Home) -> Callable[[dict[str, Any]], None]:
    def announce(state: dict[str, Any]) -> None:
        keys = home.open()
        lines = [
            f"{name:18} {url}   (API: {url}/docs)"
            for name, url in state.get("services", {}).items()
            if not name.startswith("channel-")
        ]
        lines += [f"{f'practice {name}':18} {told(at)}" for name, at in state.get("practice_platforms", {}).items()]
        lines += [
            f"{'store':18} {state.get('store')}",
            f"{'logs':18} {home.logs}",
            f"{'sign in':18} {keys.admin_email} with the password in {home.folder / 'keys.json'}",
            f"{'token':18} {tokens.issue(keys, 'admin', 12)}",
            *status.moved(state.get("moved_ports", {})),
            *(f"{name} is up, but lacks {words}" for name, words in state.get("lacking", {}).items()),
            f"Kurir is up. Stop it with: {_command()} down",
        ]
        print("\n".join(lines), flush=True)

    return announce


def _command() -> str:
    """Return how this command was called, so that what is printed can be copied."""
    return sys.argv[0] if Path(sys.argv[0]).name == "kurir" else "kurir"


def main() -> None:
    """Run the command; trouble a person can mend is one line and exit code 1."""
    try:
        app()
    except Trouble as trouble:
        print(f"error: {trouble}", file=sys.stderr)
        sys.exit(1)
