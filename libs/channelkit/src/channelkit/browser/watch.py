"""Proof of life: a page is truly asked, again and again; what froze, crashed or ended is noticed within 30 seconds."""

import asyncio
from collections.abc import Awaitable, Callable

from channelkit.browser.running import RunningBrowser, Trouble

Beat = Callable[[], Awaitable[object]]
_TRIES = 3
_AGAIN_SECONDS = 1.0
"""A page on its way to another address fails an evaluation or two: that alone is no trouble."""


async def watch(
    browser: RunningBrowser,
    beat: Beat | None = None,
    *,
    every_seconds: float,
    timeout_seconds: float,
    on_life: Callable[[], None] = lambda: None,
) -> Trouble:
    """Return once the browser is of no more use, and why; *on_life* is called after each answer.

    *beat* asks the page (default: one evaluation). With the settings' defaults, frozen is said within 20 s.
    """
    beat = beat or (lambda: browser.page.evaluate("() => 1"))
    while not await _ended(browser, every_seconds):
        trouble = await _ask(browser, beat, timeout_seconds)
        if trouble:
            return trouble
        on_life()
    return browser.trouble.result()


async def _ended(browser: RunningBrowser, within_seconds: float) -> bool:
    done, _ = await asyncio.wait({browser.trouble}, timeout=within_seconds)
    return bool(done)


async def _ask(browser: RunningBrowser, beat: Beat, timeout_seconds: float) -> Trouble | None:
    detail = ""
    for _ in range(_TRIES):
        try:
            async with asyncio.timeout(timeout_seconds):
                await beat()
        except TimeoutError:
            return Trouble("frozen", f"the page has not answered for {timeout_seconds:g} s")
        except Exception as error:  # Playwright's own, and plain ones where its driver has died
            detail = str(error).partition("\n")[0][:300]
            if await _ended(browser, _AGAIN_SECONDS):
                return browser.trouble.result()
        else:
            return None
    return Trouble("frozen", f"the page does not answer: {detail}")
