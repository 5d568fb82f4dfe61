"""In which encoding a file was written: told by its first bytes, by trying, or guessed and then checked on the whole."""

import codecs
from typing import BinaryIO

from charset_normalizer import from_bytes
from servicekit.errors import Invalid

BLOCK_BYTES, SAMPLE_BYTES = 1 << 20, 1 << 18
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_FILES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_NOT_TEXT = (
    (b"PK\x03\x04", "is an Excel workbook or a ZIP: save it as CSV (UTF-8) first"),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook: save it as CSV (UTF-8) first"),
    (b"%PDF", "is a PDF: export the table as CSV first"),
    (b"\x1f\x8b", "is compressed: unpack it first"),
)


def detect(file: BinaryIO, wanted: str | None = None) -> str:
    """Return the encoding all of *file* can be read in; *wanted* is tried alone. Raises Invalid in plain words."""
    file.seek(0)
    head = file.read(SAMPLE_BYTES)
    for mark, why in _NOT_TEXT:
        if head.startswith(mark):
            raise Invalid({"file": why})
    if not head.strip():
        raise Invalid({"file": "is empty"})
    for candidate in [_known(wanted)] if wanted else _candidates(head):
        if (bad_at := undecodable_at(file, candidate)) is None:
            return candidate
        if wanted:
            raise Invalid({"encoding": f"byte {bad_at} of the file is not {wanted}"})
    raise Invalid({"file": "is in no encoding we can recognise: save it as CSV (UTF-8), or name its encoding"})


def _known(name: str) -> str:
    """Return the codec's name. Raises Invalid for what turns bytes into bytes (a zip bomb's way in) or reads names."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError) as error:
        raise Invalid({"encoding": f"{name} is not an encoding we know"}) from error
    if not found._is_text_encoding or found.name in _NOT_FILES:  # noqa: SLF001  # what open() itself asks
        raise Invalid({"encoding": f"{name} is not an encoding of text files"})
    return found.name


def _candidates(head: bytes) -> list[str]:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return [name]
    zeros = head[1::2].count(0), head[0::2].count(0)
    if max(zeros) * 4 > len(head):  # every second byte of Latin text in UTF-16 is zero
        return ["utf-16-le" if zeros[0] > zeros[1] else "utf-16-be"]
    if 0 in head[:1024] and head.count(0) * 20 > len(head):
        return []  # no text holds so many NULs
    guesses = [_usual(str(match.encoding)) for match in from_bytes(head)][:3]
    return list(dict.fromkeys(["utf-8", *[g for g in guesses if g not in {"utf_8", "ascii"}], "cp1252"]))


def _usual(guess: str) -> str:
    """Return what spreadsheets really write where the guess is a rare code page of the same letters."""
    rare = {"mac_cyrillic": "cp1251", "mac_greek": "cp1253", "mac_turkish": "cp1254"}
    if guess in rare:
        return rare[guess]
    western = guess.startswith(("mac_", "latin", "iso8859_1", "hp_", "cp125", "cp43", "cp77", "cp85"))
    return "cp1252" if western and guess not in {"cp1251", "cp1253", "cp1254", "cp1255", "cp1256"} else guess


def undecodable_at(file: BinaryIO, encoding: str) -> int | None:
    """Return about where *file* stops being *encoding*, None where all of it is; memory stays at one block."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    file.seek(0)
    at = 0
    try:
        while block := file.read(BLOCK_BYTES):
            decoder.decode(block)
            at += len(block)
        decoder.decode(b"", final=True)
    except UnicodeError as error:
        return at + int(getattr(error, "start", 0))
    finally:
        file.seek(0)
    return None
