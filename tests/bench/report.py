"""Put the figures last measured into a page: `python -m tests.bench.report docs/performance.md`.

Each table stands between `<!-- NAME -->` and `<!-- /NAME -->`, NAME being bench or bench-scale; it is written from
`build/NAME.json`. A table whose file is not there stays as it is.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

NAMES = ("bench", "bench-scale")
HEAD = "| figure | value | baseline in the same run | ratio | aim | |\n|---|---|---|---|---|---|"


def table(figures: list[dict[str, Any]]) -> str:
    """Return Markdown: a line for each figure, the machine's below them."""
    lines = [line(figure) for figure in figures if figure["figure"] != "machine"]
    machine = [f"Measured on {f['value']:g} {f['unit']}." for f in figures if f["figure"] == "machine"]
    return "\n".join([HEAD, *lines, "", *machine])


def line(figure: dict[str, Any]) -> str:
    """Return one figure as a line of the table."""
    unit, baseline, ratio = figure["unit"], figure["baseline"], figure["ratio"]
    cells = (
        figure["figure"],
        f"{number(figure['value'])} {unit}",
        "" if baseline is None else number(baseline),
        "" if ratio is None else f"{ratio:.2f}",
        figure["aim"],
        {True: "met", False: "**missed**", None: ""}[figure["met"]],
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def number(value: float) -> str:
    """Return a number with as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2g}"


def filled(page: str, name: str, figures: list[dict[str, Any]]) -> str:
    """Return the page with the table of *name* replaced. Raises ValueError where it has no place for it."""
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no <!-- {name} --> … <!-- /{name} -->")
    return place.sub(lambda found: f"{found[1]}{table(figures)}\n{found[2]}", page)


def main() -> None:
    """Fill the page that is named."""
    page = Path(sys.argv[1])
    text = page.read_text("utf-8")
    for name in NAMES:
        measured = Path(f"build/{name}.json")
        if measured.exists():
            text = filled(text, name, json.loads(measured.read_text("utf-8")))
            print(f"{page}: {name} from {measured}")
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
