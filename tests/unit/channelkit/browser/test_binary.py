"""Finding a browser, and a word that helps where there is none."""

import pytest
from channelkit.browser import binary
from channelkit.browser.binary import BrowserMissing


def test_what_is_missing_is_named_as_debian_names_it(monkeypatch):
    monkeypatch.setattr(binary.shutil, "which", lambda _: None)
    with pytest.raises(BrowserMissing, match="apt-get install -y chromium-headless-shell"):
        binary.find()
    with pytest.raises(BrowserMissing, match=r"apt-get install -y chromium$"):
        binary.find(visible=True)


def test_a_browser_named_in_the_settings_must_be_there():
    with pytest.raises(BrowserMissing, match="/no/browser"):
        binary.find("/no/browser")
    assert binary.find("/bin/sh").name == "sh"


async def test_a_program_that_is_no_browser_is_said_so():
    with pytest.raises(BrowserMissing, match="does not run"):
        await binary.user_agent(binary.find("/bin/false"))


def test_the_hints_fit_the_user_agent():
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
    assert {"brand": "Chromium", "version": "156"} in binary.hints(agent)["brands"]
