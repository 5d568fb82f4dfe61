"""page_side.js: what it calls is what its canary looks for, and what page.py asks is what it offers."""

import re
from pathlib import Path

import channel_whatsapp.page

SCRIPT = channel_whatsapp.page.SCRIPT.read_text("utf-8")
ASKING = Path(channel_whatsapp.page.__file__).read_text("utf-8")


def test_the_canary_knows_every_call():
    [listed] = re.findall(r"const CALLS = \[(.*?)\];", SCRIPT, re.DOTALL)
    called = set(re.findall(r"WPP\.((?:chat|conn|contact)\.\w+)\(", SCRIPT))
    assert set(re.findall(r'"([\w.]+)"', listed)) == called


def test_what_is_asked_is_offered_and_nothing_else():
    offered = set(re.findall(r"^    (\w+): (?:async )?\(", SCRIPT, re.MULTILINE))
    asked = set(re.findall(r'_ask\(\s*"(\w+)"', ASKING)) | set(re.findall(r"window\.kurir\.(\w+)\(", ASKING))
    assert asked == offered


def test_wpp_is_called_nowhere_else():
    for file in Path(channel_whatsapp.page.__file__).parent.glob("*.py"):
        assert "WPP." not in re.sub(r'""".*?"""|#.*', "", file.read_text("utf-8"), flags=re.DOTALL), file.name
