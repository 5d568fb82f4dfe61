"""Which browser: chromium-headless-shell on a server, chromium with a window on a person's own computer."""

import asyncio
import functools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from servicekit.errors import Permanent

HEADLESS = ("/usr/lib/chromium/chromium-headless-shell", "chromium-headless-shell", "chromium", "google-chrome")
"""Debian's real program before its shell wrapper: one process less for each account."""
VISIBLE = (
    "chromium", "google-chrome", "google-chrome-stable", "chromium-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)  # fmt: skip
_VERSION_SECONDS = 20.0


class BrowserMissing(Permanent):
    """There is no browser to start; the detail says which package brings one."""

    def __init__(self, detail: str) -> None:
        super().__init__("browser_missing", detail)


def find(wanted: str = "", *, visible: bool = False) -> Path:
    """Return the browser's program: *wanted* (a path or a name on the PATH), else the first one known.

    Raises BrowserMissing, naming the Debian package.
    """
    if wanted:
        return _named(wanted)
    names: Sequence[str] = VISIBLE if visible else HEADLESS
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        package = "chromium" if visible else "chromium-headless-shell"
        raise BrowserMissing(f"no browser found: apt-get update && apt-get install -y {package}")
    return Path(found)


def _named(wanted: str) -> Path:
    path = shutil.which(wanted)
    if path is None:
        raise BrowserMissing(f"the browser named in the settings, {wanted}, is not a program on this machine")
    return Path(path)


async def user_agent(binary: Path) -> str:
    """Return what a browser with a window of the same version calls itself: a headless one says `HeadlessChrome`.

    Chromium itself names only its major version since 2023 ("user agent reduction"). Raises BrowserMissing.
    """
    version = await asyncio.to_thread(_major_version, binary)
    return (
        f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0 Safari/537.36"
    )


def hints(agent: str) -> dict[str, Any]:
    """Return the client hints (`Emulation.UserAgentMetadata` of the DevTools protocol) that fit a user agent."""
    version = agent.partition("Chrome/")[2].partition(".")[0]
    brands = [{"brand": "Not:A-Brand", "version": "8"}, {"brand": "Chromium", "version": version}]
    machine = {"platform": "Linux", "platformVersion": "", "architecture": "x86", "model": "", "mobile": False}
    return {"brands": brands, **machine}


@functools.cache
def _major_version(binary: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # the browser that is going to be started anyway
            [binary, "--version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BrowserMissing(f"{binary} does not run: {error}") from error
    numbers = [word for word in done.stdout.split() if word[0].isdigit()]
    if not numbers:
        raise BrowserMissing(f"{binary} does not say its version: {done.stdout[:100]!r}")
    return numbers[0].partition(".")[0]
