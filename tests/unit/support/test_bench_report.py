"""The page of figures is written from what was measured, and from nothing else."""

import pytest

from tests.bench import report

FIGURE = {"figure": "lane", "value": 5_000.4, "unit": "messages/s", "baseline": 700.0, "ratio": 7.14,
          "aim": ">= 8 x a | b", "met": False}  # fmt: skip
MACHINE = {
    "figure": "machine",
    "value": 2,
    "unit": "cores: Xeon",
    "baseline": None,
    "ratio": None,
    "aim": "",
    "met": None,
}
PAGE = "before\n<!-- bench -->\nold\n<!-- /bench -->\nafter\n<!-- bench-scale -->\nkept\n<!-- /bench-scale -->\n"


def test_a_table_takes_its_place_and_leaves_the_rest():
    filled = report.filled(PAGE, "bench", [FIGURE, MACHINE])
    assert "| lane | 5,000 messages/s | 700 | 7.14 | >= 8 x a \\| b | **missed** |" in filled
    assert "Measured on 2 cores: Xeon." in filled
    assert "old" not in filled
    assert filled.startswith("before\n<!-- bench -->\n")
    assert filled.endswith("<!-- /bench -->\nafter\n<!-- bench-scale -->\nkept\n<!-- /bench-scale -->\n")
    assert report.filled(filled, "bench", [FIGURE, MACHINE]) == filled


def test_a_page_without_a_place_is_refused():
    with pytest.raises(ValueError, match="bench-scale"):
        report.filled("nothing here", "bench-scale", [FIGURE])


def test_small_numbers_keep_their_digits():
    assert [report.number(value) for value in (0.32768, 4.53, 35.04, 1_234.5)] == ["0.33", "4.5", "35.0", "1,234"]
