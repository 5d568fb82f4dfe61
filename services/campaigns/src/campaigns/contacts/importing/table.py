"""A file of separated values as rows of text, whatever program wrote it, in the memory of one row."""

import contextlib
import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from servicekit.errors import Invalid

from campaigns.contacts.importing.encoding import detect

MAX_COLUMNS, MAX_CELL = 1_000, 131_072
_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_LINES, _SAMPLE_CHARS = 40, 1 << 18


@dataclass(frozen=True)
class Row:
    """One record: the line it begins on, its cells by column, or why it cannot be read."""

    line: int
    cells: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """The columns of a file and, by `rows`, its records. Formulas are text like any other."""

    columns: list[str]
    delimiter: str
    encoding: str
    file: BinaryIO
    header_line: int = 1

    def rows(self, after_line: int = 0) -> Iterator[Row]:
        """Yield the records that begin after *after_line* (0: all), blank ones left out."""
        yield from _rows(self, max(after_line, self.header_line))


def read_table(file: BinaryIO, *, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Return the table in a seekable file; encoding and delimiter are found out unless given. Raises Invalid.

    The first record names the columns: an empty name becomes `column_3`, a repeated one gets a number.
    """
    found = detect(file, encoding)
    text = _text(file, found)
    sample = list(_sample(text))
    declared = _declared(sample)
    separator = delimiter or declared or _sniff(sample)
    if len(separator) != 1:
        raise Invalid({"delimiter": "is one character, such as , or ;"})
    reader = csv.reader(iter(sample[1:] if declared else sample), delimiter=separator)
    header = next((r for r in reader if any(c.strip() for c in r)), None)
    if header is None:
        raise Invalid({"file": "has no line that names columns"})
    line = reader.line_num + (1 if declared else 0)
    return Table(_names(header), separator, found, file, line)


def _text(file: BinaryIO, encoding: str) -> io.TextIOWrapper:
    """Return the file as lines; closing the wrapper must not close the file, so it is never closed."""
    file.seek(0)
    return _KeepOpen(file, encoding=encoding, newline="")


class _KeepOpen(io.TextIOWrapper):
    def __del__(self) -> None:
        with contextlib.suppress(ValueError):  # its file was closed already
            self.detach()


def _sample(text: io.TextIOWrapper) -> Iterator[str]:
    left = _SAMPLE_CHARS
    for _ in range(_SAMPLE_LINES):
        line = text.readline(left)
        left -= len(line)
        if not line or left <= 0:
            if line:
                yield line
            return
        yield line


def _declared(sample: list[str]) -> str | None:
    """Return what Excel's own first line `sep=;` says."""
    first = sample[0].strip().lstrip("\ufeff").strip('"') if sample else ""
    return first[4:5] or None if first.lower().startswith("sep=") else None


def _sniff(sample: list[str]) -> str:
    """Return the delimiter that cuts the sample's records into the same number of most columns."""

    def quality(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(r) for r in csv.reader(iter(sample), delimiter=delimiter) if r][:20]
        except csv.Error:
            return (0.0, 0)
        if not widths or widths[0] == 1:
            return (0.0, 0)
        return (sum(w == widths[0] for w in widths) / len(widths), widths[0])

    return max(_DELIMITERS, key=quality)


def _names(header: Iterable[str]) -> list[str]:
    texts = list(header)
    if len(texts) > MAX_COLUMNS:  # before they are named: that takes the square of their number
        raise Invalid({"file": f"has {len(texts)} columns, at most {MAX_COLUMNS} are taken"})
    names: dict[str, None] = {}
    for number, text in enumerate(texts, 1):
        base = " ".join(text.replace("\ufeff", "").replace("\x00", "").split()) or f"column_{number}"
        name, repeat = base, 2
        while name in names:
            name, repeat = f"{base}_{repeat}", repeat + 1
        names[name] = None
    return list(names)


def _rows(table: Table, after_line: int) -> Iterator[Row]:
    reader = csv.reader(_text(table.file, table.encoding), delimiter=table.delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if line > after_line:
                yield Row(line, problem=_csv_problem(error, line, reader.line_num))
            continue
        if line > after_line and any(record):
            yield _row(table, line, record)


def _csv_problem(error: csv.Error, first: int, last: int) -> str:
    swallowed = f" (lines {first} to {last} were lost in it)" if last > first else ""
    if "field larger" in str(error) or "end of data" in str(error):
        return f"a quotation mark is left open{swallowed}, or a cell is longer than {MAX_CELL} characters"
    if "expected after" in str(error):
        return f"a quotation mark inside a quoted cell must be doubled{swallowed}"
    return f"cannot be read: {error}"


def _row(table: Table, line: int, record: list[str]) -> Row:
    wide = len(table.columns)
    if len(record) > wide and any(record[wide:]):
        return Row(line, problem=f"has {len(record)} cells, the header names {wide}")
    return Row(line, dict(zip(table.columns, record, strict=False)))
