"""Whoever is woken at night finds the line of the log in the page for operators."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating.md").read_text("utf-8")


def test_every_error_and_warning_of_the_log_is_explained():
    said = {
        event
        for folder in ("libs", "services")
        for file in (ROOT / folder).glob("*/src/**/*.py")
        if "practice" not in file.parts
        for event in re.findall(r'log\.(?:error|exception|warning)\(\s*"([^"]+)"', file.read_text("utf-8"))
    }
    assert len(said) > 10
    assert sorted(event for event in said if f"`{event}`" not in PAGE) == []


def test_the_page_names_the_metrics_there_are():
    files = (ROOT / "libs/servicekit/src/servicekit").glob("*metrics.py")
    source = "".join(file.read_text("utf-8") for file in files)
    assert set(re.findall(r'"(kurir_\w+)"', source)) == set(re.findall(r"`(kurir_\w+)", PAGE))
