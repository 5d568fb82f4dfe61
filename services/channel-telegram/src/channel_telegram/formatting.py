"""Formatted text: the marks people type (*bold*), a little HTML, and back to HTML. Offsets count UTF-16 units."""

import html
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

from channel_telegram.model import Mark, MarkKind

_PRE = re.compile(r"```(?P<text>.+?)```", re.DOTALL)
_PAIR = {
    kind: re.compile(rf"(?<![^\W_])\{sign}(?=[^\s{sign}])(?P<text>[^\n{sign}]*?)(?<=[^\s{sign}])\{sign}(?![^\W_])")
    for kind, sign in (("bold", "*"), ("italic", "_"), ("strike", "~"))
}
_TAGS: dict[str, MarkKind] = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline", "s": "strike",
    "strike": "strike", "del": "strike", "code": "code", "pre": "pre", "blockquote": "quote", "tg-spoiler": "spoiler",
    "a": "link",
}  # fmt: skip
_SHOWN: dict[MarkKind, str] = {
    "bold": "b", "italic": "i", "underline": "u", "strike": "s", "code": "code", "pre": "pre", "quote": "blockquote",
}  # fmt: skip
_BLOCKS = {"p", "div", "ul", "ol", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6"}
_UNSEEN = {"script", "style", "head", "title"}
_LINK = re.compile(r"^(https?|tg|mailto|tel):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Formatted:
    """A text without its marks, and where they were."""

    text: str
    marks: tuple[Mark, ...] = ()

    def cut(self, start: int, end: int) -> "Formatted":
        """Return a stretch of it, counted in characters, its marks clipped."""
        if start == 0 and end == len(self.text):
            return self
        first, last = units(self.text[:start]), units(self.text[:end])
        marks = []
        for mark in self.marks:
            begin, stop = max(mark.offset, first), min(mark.offset + mark.length, last)
            if begin < stop:
                marks.append(Mark(mark.kind, begin - first, stop - begin, mark.value))
        return Formatted(self.text[start:end], tuple(marks))

    def trimmed(self) -> "Formatted":
        """Return it without the white space around it, which Telegram would take away."""
        start = len(self.text) - len(self.text.lstrip())
        return self.cut(start, max(start, len(self.text.rstrip())))


def units(text: str) -> int:
    """Return a text's length in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def from_marks(text: str) -> Formatted:
    """Read what people type: *bold*, _italic_, ~strike~, ```code```, where words begin and end, within a line."""
    found = _pairs(text)
    edges = sorted(
        [(start, start + width) for start, _, width, _ in found] + [(end - width, end) for _, end, width, _ in found]
    )
    plain, position, gone = [], 0, []
    for start, end in edges:
        plain.append(text[position:start])
        gone.append((start, end))
        position = end
    plain.append(text[position:])
    return Formatted("".join(plain), tuple(_placed(text, gone, one) for one in sorted(found)))


def from_html(page: str) -> Formatted:
    """Read a small subset of HTML; other tags vanish, their text stays."""
    reader = _Reader(collapse=re.search(r"<(p|br|div|li|tr|h\d)\b", page, re.IGNORECASE) is not None)
    reader.feed(page)
    reader.close()
    return Formatted("".join(reader.text), tuple(sorted(reader.marks, key=_order))).trimmed()


def to_html(text: str, marks: Sequence[Mark]) -> str:
    """Return a formatted text as HTML with nothing in it but our own tags."""
    wide = text.encode("utf-16-le", "surrogatepass")
    known = sorted((one for one in marks if _opening(one)), key=_order)
    edges = sorted({0, len(wide) // 2, *(p for one in known for p in (one.offset, one.offset + one.length))})
    parts: list[str] = []
    for start, end in itertools.pairwise(edges):
        within = [one for one in known if one.offset <= start and end <= one.offset + one.length]
        shown = html.escape(wide[start * 2 : end * 2].decode("utf-16-le", "replace")).replace("\n", "<br>")
        parts += [*map(_opening, within), shown, *(f"</{_tag(one)}>" for one in reversed(within))]
    return "".join(parts)


def _order(mark: Mark) -> tuple[int, int, str]:
    return mark.offset, -mark.length, mark.kind


def _tag(mark: Mark) -> str:
    return "a" if mark.kind == "link" else _SHOWN.get(mark.kind, "")


def _opening(mark: Mark) -> str:
    if mark.kind == "link":
        return f'<a href="{html.escape(mark.value)}">' if _LINK.match(mark.value) else ""
    return f"<{_SHOWN[mark.kind]}>" if mark.kind in _SHOWN else ""


def _pairs(text: str) -> list[tuple[int, int, int, MarkKind]]:
    """Return (start, end, width of the sign, kind) of every pair; none crosses another."""
    found: list[tuple[int, int, int, MarkKind]] = [
        (one.start(), one.end(), 3, "pre") for one in _PRE.finditer(text) if one["text"].strip()
    ]
    for kind, pattern in _PAIR.items():
        for one in pattern.finditer(text):
            start, end = one.span()
            if all(_apart(start, end, *other[:3]) for other in found):
                found.append((start, end, 1, kind))  # type: ignore[arg-type]
    return found


def _apart(start: int, end: int, first: int, last: int, width: int) -> bool:
    """Return whether a pair lies beside, around, or (not in code) within another one."""
    beside = end <= first or start >= last
    around = start < first and end > last
    within = width == 1 and first < start and end < last
    return beside or around or within


def _placed(text: str, gone: list[tuple[int, int]], found: tuple[int, int, int, MarkKind]) -> Mark:
    start, end, width, kind = found
    begin, stop = (_plain_units(text, gone, position) for position in (start + width, end - width))
    return Mark(kind, begin, stop - begin)


def _plain_units(text: str, gone: list[tuple[int, int]], position: int) -> int:
    return units(text[:position]) - sum(end - start for start, end in gone if end <= position)


@dataclass
class _Open:
    tag: str
    kind: MarkKind
    offset: int
    value: str = ""


@dataclass
class _Reader(HTMLParser):
    collapse: bool
    text: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    _open: list[_Open] = field(default_factory=list)
    _units: int = 0
    _unseen: int = 0

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._unseen += tag in _UNSEEN
        if tag == "br":
            self._add("\n")
        elif tag in _BLOCKS:
            self._break()
        elif tag == "li":
            self._break()
            self._add("• ")
        elif tag in _TAGS and (tag != "a" or _LINK.match(values.get("href") or "")):
            self._open.append(_Open(tag, _TAGS[tag], self._units, (values.get("href") or "") if tag == "a" else ""))

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BLOCKS or tag == "li":
            self._break()
        for index in range(len(self._open) - 1, -1, -1):
            if self._open[index].tag == tag:
                one = self._open.pop(index)
                if self._units > one.offset:
                    self.marks.append(Mark(one.kind, one.offset, self._units - one.offset, one.value))
                return

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if self.collapse and not any(one.kind == "pre" for one in self._open):
            data = re.sub(r"\s+", " ", data)
            if not self.text or self.text[-1].endswith((" ", "\n")):
                data = data.lstrip(" ")
        self._add(data)

    def _break(self) -> None:
        if self.text and not self.text[-1].endswith("\n"):
            self._add("\n")

    def _add(self, text: str) -> None:
        if text:
            self.text.append(text)
            self._units += units(text)
