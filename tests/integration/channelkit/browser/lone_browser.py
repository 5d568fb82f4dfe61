"""A process of its own that opens a browser on a profile folder and waits to be killed: `lone_browser.py ROOT URL`."""

import asyncio
import sys
from pathlib import Path

from channelkit.browser.launching import Browsers, Look
from channelkit.browser.profile import ProfileFolder
from channelkit.browser.settings import BrowserSettings


async def main() -> None:
    folder = ProfileFolder(Path(sys.argv[1]), "acc")
    folder.lock()
    marker = folder.marker() or folder.fresh()
    folder.mark(marker.model_copy(update={"clean": False}))
    running = await Browsers(BrowserSettings(start_timeout_seconds=60)).launch(folder.profile, Look())
    await running.page.goto(sys.argv[2])
    print("open", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
