"""The table of crash points in docs/operating, written from what a full run of tests/faults saw."""

from collections.abc import Mapping
from pathlib import Path

from servicekit.failpoints import POINTS

from tests.support.crash_cases import CASES, Case

PAGE = Path(__file__).parents[2] / "docs/operating.md"
BEGIN, END = "<!-- crash points: written by make faults -->\n", "<!-- end of crash points -->\n"
_HEAD = "| killed | at | when | got it | the row |\n|---|---|---|---|---|\n"


def write(seen: Mapping[str, str]) -> bool:
    """Put the table into the page; return False, and change nothing, where a case was not seen."""
    if {case.name for case in CASES} - set(seen):
        return False
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    changed = before + BEGIN + table(seen) + END + after
    if changed != page:
        PAGE.write_text(changed, "utf-8")
    return True


def table(seen: Mapping[str, str]) -> str:
    """Return the table; *seen*: case → `<deliveries> <state>`."""
    return _HEAD + "".join(_line(case, *seen[case.name].split(" ", 1)) for case in CASES)


def _line(case: Case, deliveries: str, state: str) -> str:
    point = f"`{case.point}`" + (f" ({case.does})" if case.does else "")
    process = case.service if case.action == "kill" else f"{case.service} lives, the answer is lost"
    return f"| {process} | {point} | {POINTS[case.point]} | {deliveries} | {state} |\n"
