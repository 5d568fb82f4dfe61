"""`kurir login` from beginning to end."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

from kurir.home import Trouble
from kurir.login import uploading, watching
from kurir.login.outcome import Outcome, Wishes
from kurir.login.server import Json, Server
from kurir.login.visiting import Visit, visit
from kurir.login.waiting import Waiting

_LOOK_SECONDS = 1.0
_ENDED = {"failed", "logged_out"}


Say = Callable[[str], None]


def stop_on_signals() -> None:
    """Let a closed terminal and SIGTERM end the running task as Ctrl-C does: the browser goes, and its profile."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is None:
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)


async def run(server: Server, wishes: Wishes, say: Say, progress: uploading.Progress) -> Outcome:
    """Log in, upload, and see the account become ready. Raises Trouble; a packed session then waits for the next run."""
    started = time.monotonic()
    account = await server.account(wishes.account)
    result = Outcome(account["id"], account["name"], account["channel"])
    url = await _page(server, account)
    await server.require_operator(account["id"])
    waiting = Waiting(account["id"])
    data = await asyncio.to_thread(waiting.load)
    if data is None or wishes.anew:
        try:
            data = await _log_in(wishes, account, url, say)
        except asyncio.CancelledError:
            raise Trouble("stopped; nothing was handed over") from None
        await asyncio.to_thread(waiting.save, data)
    else:
        say(f"going on with the session of an earlier run, {waiting.file} (--anew begins again)")
    try:
        done = await uploading.upload(server, account["id"], data, progress)
    except (Trouble, asyncio.CancelledError) as trouble:
        why = str(trouble) or "stopped"
        raise Trouble(f"{why}\nThe session waits in {waiting.file}: the same command goes on.") from trouble
    await asyncio.to_thread(waiting.remove)
    result.bytes, result.session_import, result.import_state = len(data), done["id"], done["state"]
    say("handed over; the account is logging in with it")
    with contextlib.suppress(asyncio.CancelledError):  # it is handed over, whether or not somebody looks
        await _follow(server, result, done, active=account["status"] == "active", seconds=wishes.ready_seconds)
    result.seconds = round(time.monotonic() - started, 1)
    return result


async def _page(server: Server, account: Json) -> str:
    """Return where one logs in. Raises Trouble where the channel has no browser session."""
    channel = await server.channel(account["channel"])
    if not channel["login_url"]:
        raise Trouble(f"{channel['title']} does not log in with a browser: {channel['login']}")
    return str(channel["login_url"])


async def _log_in(wishes: Wishes, account: Json, url: str, say: Say) -> bytes:
    say(f"opening {url} for {account['name']} in a browser of its own; it is removed again afterwards")
    way = await watching.way(account["channel"], say, wishes.settle_seconds)
    return await visit(Visit(url, wishes.program, headless=wishes.headless), way, say)


async def _follow(server: Server, result: Outcome, done: Json, *, active: bool, seconds: float) -> None:
    """Watch the account until it is ready, has failed, or *seconds* have passed."""
    deadline = time.monotonic() + seconds
    while True:
        session = await server.session(result.account)
        result.status, result.reason = session["status"], session["reason"]
        result.import_state = await server.state(done)
        taken = result.import_state == "taken_over"
        result.ready = taken and session["status"] == "ready"
        over = result.import_state == "refused" or (taken and session["status"] in _ENDED)
        if result.ready or over or not active or time.monotonic() > deadline:
            return
        await asyncio.sleep(_LOOK_SECONDS)
