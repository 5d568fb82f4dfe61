"""Formatted text: marks and HTML in, entities out, and back to HTML."""

import html
import re

import pytest
from channel_telegram.formatting import Formatted, from_html, from_marks, to_html, units
from channel_telegram.model import Mark
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.sampled_from("ab1 \n*_~`.,é😀𝄞<&>"), max_size=60)
KINDS = st.sampled_from(["bold", "italic", "underline", "strike", "code", "spoiler", "quote"])


def shown(body):
    """Return (kind, the marked text) of every mark."""
    wide = body.text.encode("utf-16-le")
    return [
        (m.kind, wide[m.offset * 2 : (m.offset + m.length) * 2].decode("utf-16-le")) for m in body.marks
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "text", "marks"),
    [
        ("Promo *hari ini* saja", "Promo hari ini saja", [("bold", "hari ini")]),
        ("_halo_ ~lama~ *baru*", "halo lama baru", [("italic", "halo"), ("strike", "lama"), ("bold", "baru")]),
        ("*_dua_*", "dua", [("bold", "dua"), ("italic", "dua")]),
        ("😀 *x* 😀", "😀 x 😀", [("bold", "x")]),
        ("```a *b*\nc```", "a *b*\nc", [("pre", "a *b*\nc")]),
        ("2 * 3 * 4", "2 * 3 * 4", []),
        ("5*3*2", "5*3*2", []),
        ("nama_file_baru.pdf", "nama_file_baru.pdf", []),
        ("*satu\ndua*", "*satu\ndua*", []),
        ("* butir\n* butir", "* butir\n* butir", []),
        ("**", "**", []),
        ("(*penting*)!", "(penting)!", [("bold", "penting")]),
    ],
)
def test_marks_are_read_where_words_begin_and_end(typed, text, marks):
    body = from_marks(typed)
    assert (body.text, shown(body)) == (text, marks)


@given(TEXT)
def test_marks_lie_within_the_text_and_only_signs_are_taken_away(typed):
    body = from_marks(typed)
    assert all(m.offset >= 0 and m.length > 0 and m.offset + m.length <= units(body.text) for m in body.marks)
    assert [c for c in typed if c not in "*_~`"] == [c for c in body.text if c not in "*_~`"]
    assert len(typed) - len(body.text) == sum(6 if m.kind == "pre" else 2 for m in body.marks)


@given(st.text(st.sampled_from("ab1 \n.,é😀<&>"), max_size=40))
def test_a_text_without_signs_stays_as_it_is(typed):
    assert from_marks(typed) == Formatted(typed)


@pytest.mark.parametrize(
    ("page", "text", "marks"),
    [
        ("<b>Halo</b> <i>kak</i>", "Halo kak", [("bold", "Halo"), ("italic", "kak")]),
        ("<p>Satu</p><p>Dua<br>Tiga</p>", "Satu\nDua\nTiga", []),
        ("<ul><li>a</li><li>b</li></ul>", "• a\n• b", []),
        ('<a href="https://toko.test/?a=1&amp;b=2">lihat</a>', "lihat", [("link", "lihat")]),
        ('<a href="javascript:alert(1)">x</a>', "x", []),
        ("a &lt; b &amp; c", "a < b & c", []),
        ("<style>p{}</style><p>isi\n   isi</p>", "isi isi", []),
        ("<pre>a\n  b</pre>", "a\n  b", [("pre", "a\n  b")]),
        ("<b>tidak ditutup", "tidak ditutup", []),
        ("<b>😀<u>dua</u></b>", "😀dua", [("bold", "😀dua"), ("underline", "dua")]),
    ],
)
def test_a_little_html_is_read(page, text, marks):
    body = from_html(page)
    assert (body.text, shown(body)) == (text, marks)


@given(st.text(st.sampled_from('ab<>/bipreu ="&;😀\n'), max_size=60))
def test_no_html_breaks_the_reader(page):
    body = from_html(page)
    assert all(m.offset >= 0 and m.offset + m.length <= units(body.text) for m in body.marks)


@given(TEXT, st.lists(st.tuples(KINDS, st.integers(0, 60), st.integers(1, 60)), max_size=5))
def test_back_to_html_nothing_but_our_tags(text, drawn):
    marks = [Mark(kind, offset, length) for kind, offset, length in drawn]
    page = to_html(text, marks)
    plain = html.unescape(re.sub(r"</?(b|i|u|s|code|pre|blockquote)>", "", page.replace("<br>", "\n")))
    assert plain.replace("\ufffd", "") in text or "\ufffd" in plain or plain == text
    opened = re.findall(r"<(b|i|u|s|code|pre|blockquote)>", page)
    closed = re.findall(r"</(b|i|u|s|code|pre|blockquote)>", page)
    assert sorted(opened) == sorted(closed)


def test_back_to_html_crossing_marks_are_nested_and_links_are_safe():
    marks = [Mark("bold", 0, 3), Mark("italic", 2, 3)]
    assert to_html("abcde", marks) == "<b>ab</b><b><i>c</i></b><i>de</i>"
    assert to_html("x", [Mark("link", 0, 1, 'https://a.test/?q="><script>')]).count("<") == 2
    assert to_html("x", [Mark("link", 0, 1, "javascript:alert(1)")]) == "x"


@given(TEXT.map(from_marks), st.integers(0, 60), st.integers(0, 60))
def test_a_cut_keeps_the_marks_of_what_is_left(body, first, second):
    start, end = sorted((min(first, len(body.text)), min(second, len(body.text))))
    cut = body.cut(start, end)
    assert cut.text == body.text[start:end]
    before = {(kind, i) for kind, i in _units(body)}
    offset = units(body.text[:start])
    assert {(kind, i + offset) for kind, i in _units(cut)} == {
        (kind, i) for kind, i in before if offset <= i < units(body.text[:end])
    }


def _units(body):
    return [(m.kind, i) for m in body.marks for i in range(m.offset, m.offset + m.length)]
