"""Pictures for people's eyes: a QR code of a text, or a short code in large letters. PNG, made in memory only."""

from collections.abc import Iterator
from io import BytesIO

import segno
from segno import writers

_SCALE = 8
_QUIET = 4
"""Modules of white around a QR code, as ISO/IEC 18004 asks."""
_ROWS = 7
_COLUMNS = 5
_GLYPHS = {
    "A": "0E11111F111111", "B": "1E11111E11111E", "C": "0E11101010110E", "D": "1E11111111111E", "E": "1F10101E10101F",
    "F": "1F10101E101010", "G": "0E11101711110F", "H": "1111111F111111", "I": "0E04040404040E", "J": "0702020202120C",
    "K": "11121418141211", "L": "1010101010101F", "M": "111B1515111111", "N": "11191513111111", "O": "0E11111111110E",
    "P": "1E11111E101010", "Q": "0E11111115120D", "R": "1E11111E141211", "S": "0F10100E01011E", "T": "1F040404040404",
    "U": "1111111111110E", "V": "11111111110A04", "W": "11111115151B11", "X": "11110A040A1111", "Y": "11110A04040404",
    "Z": "1F01020408101F", "0": "0E11131519110E", "1": "040C040404040E", "2": "0E11010204081F", "3": "1F02040201110E",
    "4": "02060A121F0202", "5": "1F101E0101110E", "6": "0608101E11110E", "7": "1F010204080808", "8": "0E11110E11110E",
    "9": "0E11110F01020C", "-": "0000001F000000",
}  # fmt: skip
"""Capitals and digits on 5 x 7 dots: two hexadecimal digits a row, so that no font has to be installed."""


def qr(text: str) -> bytes:
    """Return a QR code with its quiet zone."""
    out = BytesIO()
    segno.make_qr(text, error="l").save(out, kind="png", scale=_SCALE, border=_QUIET)
    return out.getvalue()


def letters(text: str) -> bytes:
    """Return a code in large letters; what is neither capital, digit nor dash stays blank."""
    rows = tuple(bytearray(_row(text.upper(), row)) for row in range(_ROWS))
    out = BytesIO()
    size = len(rows[0]), _ROWS
    writers.save(rows, size, out, kind="png", scale=_SCALE, border=_QUIET)  # type: ignore[attr-defined]  # it is untyped
    return out.getvalue()


def _row(text: str, row: int) -> Iterator[int]:
    for letter in text:
        dots = bytes.fromhex(_GLYPHS.get(letter, "00" * _ROWS))[row]
        yield from (dots >> bit & 1 for bit in reversed(range(_COLUMNS)))
        yield 0
