"""Rehearses a channel's whole story on its practice platform."""

import tempfile
from pathlib import Path

from rich.console import Console

from kurir.background import detach, platform, stop_signal, until
from kurir.demo.email import EmailStory
from kurir.demo.result import Result
from kurir.home import Home, Trouble
from kurir.platform import Options
from kurir.tokens import issue

STORIES = {"email": EmailStory}


async def run(channel: str, recipients: int, home: Home | None, console: Console) -> Result:
    """Run the story; with *home* None on a platform of its own that is stopped and removed afterwards.

    Raises Trouble for an unknown channel, or where the folder's platform runs without practice platforms.
    """
    if channel not in STORIES:
        raise Trouble(f"there is no rehearsal for {channel!r} yet; there is: {', '.join(STORIES)}")
    if home is None:
        return await _apart(channel, recipients, console)
    state = home.state() or detach(home, practice=True)
    if not state.get("practice_mail"):
        raise Trouble("the platform that is up has no practice platforms: add --exit to rehearse beside it")
    return await STORIES[channel](state, issue(home.open(), "admin", 12), recipients, console).run()


async def _apart(channel: str, recipients: int, console: Console) -> Result:
    """Run on own ports and in an own folder, beside whatever is up."""
    found: list[Result] = []

    async def work(folder: Path) -> None:
        home = Home(folder / "kurir")
        async with platform(home, Options(practice=True, any_ports=True)) as running:
            token = issue(running.keys, "admin", 12)
            found.append(await STORIES[channel](running.state(), token, recipients, console).run())

    with tempfile.TemporaryDirectory(prefix="kurir-demo-") as folder:
        await until(stop_signal(), work(Path(folder)))
    if not found:
        raise Trouble("stopped before the end")
    return found[0]
