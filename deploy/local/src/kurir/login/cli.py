"""`kurir login`: the command line of it."""

import asyncio
import dataclasses
import json as jsonlib
import os
import sys
from typing import Annotated

import typer

from kurir import tokens
from kurir.home import Trouble
from kurir.login.outcome import Outcome, Wishes
from kurir.login.server import Server
from kurir.options import HomeOption, JsonOption, home_at

NOT_READY = 3


def login(
    account: Annotated[str, typer.Argument(help="The account's id (acc_…), or its name where only one has it.")],
    *,
    url: Annotated[str | None, typer.Option(help="Where Kurir's accounts service is; $KURIR_URL.")] = None,
    token: Annotated[
        str | None, typer.Option(help="An operator's token; better in $KURIR_TOKEN, where no process list shows it.")
    ] = None,
    browser: Annotated[str, typer.Option(help="The browser's program, where it is not found by itself.")] = "",
    anew: Annotated[bool, typer.Option("--anew", help="Log in again, though an earlier session waits here.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for the account to become ready.")] = 180.0,
    home: HomeOption = None,
    json: JsonOption = False,
    plain_http: Annotated[bool, typer.Option("--plain-http", hidden=True)] = False,
    headless: Annotated[
        bool, typer.Option("--headless", hidden=True, envvar=["KURIR_LOGIN_HEADLESS", "KURIR_PRACTICE"])
    ] = False,
    settle: Annotated[float | None, typer.Option(hidden=True, envvar="KURIR_LOGIN_SETTLE_SECONDS")] = None,
) -> None:
    """Log an account in with a browser on your own computer, and hand the session to Kurir.

    For WhatsApp and the marketplaces, where the login asks for something only you can do: a passkey, a captcha, a code.
    A browser opens with an empty profile of its own. Log in there as you always do; WhatsApp is recognised by itself, on
    other pages press Enter here once you are in. The browser is then closed, its profile packed, uploaded encrypted on
    the way and sealed on the server, and removed from this computer: only Kurir goes on with that session, so do not
    log it out on the phone.

    On the server's own machine nothing more is needed. From elsewhere:

      export KURIR_TOKEN=…   (on the server: kurir token --role operator, or POST /v1/tokens)

      kurir login acc_3f… --url https://kurir.example/accounts

    If the line is cut, it goes on by itself; if this command ends before everything is uploaded, the packed session waits
    in ~/.local/state/kurir/login (readable by you only) and the same command goes on with it.

    Exit codes: 0 the account is ready; 3 handed over, but not ready (the reason is printed); 1 nothing was handed over.
    """
    found_url, found_token = _where(url, token, home)
    wishes = Wishes(account, browser, headless=headless, anew=anew, ready_seconds=wait, settle_seconds=settle)

    async def work() -> Outcome:
        from kurir.login.story import run, stop_on_signals  # noqa: PLC0415  # Playwright takes long to import, and no other command needs it

        stop_on_signals()
        async with Server(found_url, found_token, plain_http=plain_http) as server:
            return await run(server, wishes, _say, _progress)

    result = asyncio.run(work())
    print(jsonlib.dumps(dataclasses.asdict(result)) if json else _told(result))
    raise typer.Exit(0 if result.ready else NOT_READY)


def _where(url: str | None, token: str | None, home: HomeOption) -> tuple[str, str]:
    """Return address and token: as given, from the environment, or those of this machine's own Kurir."""
    url, token = url or os.environ.get("KURIR_URL"), token or os.environ.get("KURIR_TOKEN")
    if url is not None:
        if not token:
            raise Trouble("a token is needed: set KURIR_TOKEN (on the server: kurir token --role operator)")
        return url, token
    place = home_at(home)
    state = place.state()
    if state is None:
        raise Trouble(f"Kurir is not up in {place.folder}; for a server elsewhere name it with --url and KURIR_TOKEN")
    return str(state["services"]["accounts"]), token or tokens.issue(place.open(), "operator", 2)


def _say(text: str) -> None:
    """Tell the person; standard output is for what came of it."""
    print(text, file=sys.stderr, flush=True)


def _progress(done: int, total: int) -> None:
    """Say how far the upload is: on one line of a terminal, else at every tenth."""
    if sys.stderr.isatty():
        print(f"\ruploading {done}/{total} pieces", end="\n" if done == total else "", file=sys.stderr, flush=True)
    elif done == total or done % max(1, total // 10) == 0:
        print(f"uploading {done}/{total} pieces", file=sys.stderr, flush=True)


def _told(result: Outcome) -> str:
    size = f"{result.bytes / 1_000:,.0f} kB"
    if result.ready:
        return f"{result.name} is ready ({size} handed over in {result.seconds:g} s)"
    status = f"{result.status}: {result.reason}" if result.reason else result.status
    if result.import_state == "refused":
        return f"{result.name} cannot use the session ({size}): its log says why; it is {status} as before"
    if result.import_state == "taken_over":
        return f"{result.name} has taken the session over ({size}), but is not ready: {status}"
    return f"{size} are handed over; {result.name} uses them as soon as it is active and its service is up ({status})"
