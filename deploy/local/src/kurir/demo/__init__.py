"""Rehearses a channel's whole story on its practice platform."""

import tempfile
from pathlib import Path

from contracts.channels import Channel
from rich.console import Console

from kurir.background import detach, platform, stop_signal, until
from kurir.demo.email import EmailStory
from kurir.demo.result import Result
from kurir.demo.story import Story
from kurir.demo.telegram import TelegramStory
from kurir.demo.whatsapp import WhatsAppStory
from kurir.home import Home, Trouble
from kurir.platform import Options
from kurir.tokens import issue

STORIES: dict[str, type[Story]] = {story.channel: story for story in (EmailStory, TelegramStory, WhatsAppStory)}


async def run(channel: str, recipients: int, home: Home | None, console: Console) -> Result:
    """Run the story; with *home* None on a platform of its own that is stopped and removed afterwards.

    Raises Trouble for an unknown channel, or where the folder's platform runs without practice platforms.
    """
    if channel not in STORIES:
        raise Trouble(f"there is no rehearsal for {channel!r} yet; there is: {', '.join(STORIES)}")
    story = STORIES[channel]
    if home is None:
        return await _apart(story, recipients, console)
    state = home.state() or detach(home, practice=True)
    if not state["practice"]:
        raise Trouble("the platform that is up has no practice platforms: add --exit to rehearse beside it")
    if story.practice not in state["practice_platforms"]:
        raise Trouble(
            f"the platform that is up runs without {channel} (KURIR_CHANNELS): add --exit to rehearse beside it"
        )
    return await story(state, issue(home.open(), "admin", 12), recipients, console).run()


async def _apart(story: type[Story], recipients: int, console: Console) -> Result:
    """Run on own ports and in an own folder, beside whatever is up."""
    found: list[Result] = []

    async def work(folder: Path) -> None:
        home = Home(folder / "kurir")
        options = Options(practice=True, any_ports=True, channels=(Channel(story.channel),))
        async with platform(home, options) as running:
            token = issue(running.keys, "admin", 12)
            found.append(await story(running.state(), token, recipients, console).run())

    with tempfile.TemporaryDirectory(prefix="kurir-demo-") as folder:
        await until(stop_signal(), work(Path(folder)))
    if not found:
        raise Trouble("stopped before the end")
    return found[0]
