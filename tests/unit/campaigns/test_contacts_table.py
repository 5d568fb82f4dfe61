"""Files of separated values, whatever program wrote them."""

# ruff: noqa: RUF001  # Cyrillic letters are meant

import csv
import io

import pytest
from campaigns.contacts.importing import mapping, read_table
from campaigns.contacts.importing.table import Row
from campaigns.csvout import guarded
from hypothesis import given
from hypothesis import strategies as st
from servicekit.errors import Invalid


def table_of(data: bytes, **options):
    return read_table(io.BytesIO(data), **options)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(encoding, delimiter):
    lines = [["nama", "surel"], ["José Ñandú", "j@example.com"], ["Émile", "e@example.com"]]
    table = table_of("\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    assert table.delimiter == delimiter
    assert [list(r.cells.values()) for r in table.rows()] == lines[1:]


def test_letters_of_other_scripts_are_recognised_or_can_be_named():
    text = "name,email\nБорис Иванов привет,b@example.com\nСергей Петров,s@example.com\n"
    assert next(table_of(text.encode("cp1251")).rows()).cells["name"] == "Борис Иванов привет"
    text = "name,email\n山田太郎さん,b@example.com\n"
    assert next(table_of(text.encode("shift_jis"), encoding="shift_jis").rows()).cells["name"] == "山田太郎さん"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"PK\x03\x04x", "Excel"), (b"\xd0\xcf\x11\xe0", "Excel"), (b"%PDF-1", "PDF"), (b"\x1f\x8b", "compressed"),
     (b"", "empty"), (b" \n \n", "empty"), (bytes(range(256)) * 9, "no encoding")],
)  # fmt: skip
def test_what_is_no_table_is_refused_in_plain_words(data, says):
    with pytest.raises(Invalid, match=says):
        table_of(data)


def test_the_whole_file_must_be_in_the_encoding_not_only_its_head():
    data = b"name,email\n" + b"a,a@example.com\n" * 100_000 + b"caf\xe9,b@example.com\n"
    assert table_of(data).encoding == "cp1252"
    with pytest.raises(Invalid, match="byte 16"):
        table_of(data, encoding="utf-8")


def test_a_record_over_several_lines_is_named_by_its_first():
    table = table_of(b'sep=;\nname;email\n"a\nb\nc";x@example.com\n\nd;y@example.com\n')
    assert [(r.line, r.cells["name"]) for r in table.rows()] == [(3, "a\nb\nc"), (7, "d")]
    assert [r.line for r in table.rows(after_line=3)] == [7]


def test_an_open_quotation_mark_costs_its_record_and_not_the_file():
    rows = list(table_of(b'name,email\n"a,x@example.com\n' + b"y" * 140_000 + b"\nb,b@example.com\n").rows())
    assert "left open (lines 2 to 3" in rows[0].problem
    assert rows[-1].cells == {"name": "b", "email": "b@example.com"}
    rows = list(table_of(b'name,email\n"a"b,x@example.com\nc,c@example.com\n').rows())
    assert ("doubled" in rows[0].problem, rows[1].line) == (True, 3)


def test_too_many_cells_are_told_and_empty_ones_forgiven():
    rows = list(table_of(b"a,b\n1,2,,\n1,2,3\n1\n").rows())
    assert [bool(r.problem) for r in rows] == [False, True, False]


def test_columns_without_a_name_or_with_the_same_get_their_own():
    assert table_of(b"name,,name,email\n1,2,3,4\n").columns == ["name", "column_2", "name_2", "email"]
    with pytest.raises(Invalid, match="at most 1000"):
        table_of(b",".join(b"c%d" % i for i in range(1_001)) + b"\n")


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\ufeff"), max_size=20)


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8))
def test_any_text_written_by_a_csv_writer_is_read_back(lines):
    out = io.StringIO()
    csv.writer(out).writerows([["aa", "bb", "cc"], *lines])
    rows = table_of(out.getvalue().encode(), delimiter=",").rows()
    assert [list(r.cells.values()) for r in rows] == [line for line in lines if any(line)]


@given(st.text(max_size=200))
def test_no_cell_makes_a_line_fail_otherwise_than_with_a_reason(text):
    columns = {"n": "name", "e": "email", "p": "phone", "s": "shopee", "t": "tags", "x": "attribute:x"}
    parsed = mapping.parse(Row(2, dict.fromkeys(columns, text)), columns, "ID")
    assert parsed.rejected == (not parsed.keys) or parsed.problems
    assert all(p.reason for p in parsed.problems)


def test_headers_are_known_in_english_and_indonesian():
    found = mapping.automatic(["Nama Lengkap", "Alamat E-mail", "No. HP", "IG", "Kota", "Email Address", ""])
    assert list(found.values()) == [
        "name", "email", "phone", "instagram", "attribute:kota", "attribute:email_address", "attribute:column",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given_mapping", "field"),
    [
        ({"x": "email"}, "mapping.x"),
        ({"a": "e-mail"}, "mapping.a"),
        ({"a": "email", "b": "email"}, "mapping.a"),
        ({"a": "name"}, "mapping"),
        ({"a": "attribute:$"}, "mapping.a"),
    ],
)
def test_a_mapping_that_does_not_fit_names_the_column(given_mapping, field):
    with pytest.raises(Invalid) as wrong:
        mapping.checked(given_mapping, ["a", "b"])
    assert field in wrong.value.fields


@given(st.text(max_size=30))
def test_no_exported_cell_begins_like_a_formula(text):
    cell = guarded(text)
    assert not cell.startswith(("=", "-", "@", "\t", "\r", "\n"))
    assert not cell.startswith("+") or cell[1:].isdigit()
    assert cell in {text, f"'{text}"}
