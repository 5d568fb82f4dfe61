"""A message's content as the parts that leave one after another; each keeps its number for ever."""

from dataclasses import dataclass

from contracts.commands import Attachment, Content

from channel_telegram.formatting import Formatted, from_html, from_marks, units

LONGEST_TEXT = 4_096
LONGEST_CAPTION = 1_024
"""UTF-16 units (https://core.telegram.org/api/config: message_length_max, caption_length_max)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message on the platform."""

    body: Formatted
    attachment: Attachment | None = None


def parts(content: Content) -> list[Part]:
    """Return the parts: text (split where it is long), attachments (the first with the text, if it is short), bubbles."""
    text = (from_html(content.html) if content.html else from_marks(content.text)).trimmed()
    made: list[Part] = []
    attachments = list(content.attachments)
    if attachments and units(text.text) <= LONGEST_CAPTION:
        made.append(Part(text, attachments.pop(0)))
    else:
        made += [Part(piece) for piece in split(text)]
    made += [Part(Formatted(""), one) for one in attachments]
    for bubble in content.bubbles:
        made += [Part(piece) for piece in split(from_marks(bubble).trimmed())]
    return made


def split(body: Formatted, limit: int = LONGEST_TEXT) -> list[Formatted]:
    """Return the text in pieces of at most *limit* units, ended at a line, a word, or where it must be."""
    pieces: list[Formatted] = []
    rest = body.trimmed()
    while rest.text:
        end = _end(rest.text, limit)
        piece = rest.cut(0, end).trimmed()
        if piece.text:
            pieces.append(piece)
        rest = rest.cut(end, len(rest.text)).trimmed()
    return pieces


def _end(text: str, limit: int) -> int:
    """Return where the first piece ends, in characters."""
    if units(text) <= limit:
        return len(text)
    fits, used = 0, 0
    for character in text:
        used += units(character)
        if used > limit:
            break
        fits += 1
    for sign in ("\n", " "):
        cut = text.rfind(sign, fits // 2, fits + 1)
        if cut > 0:
            return cut
    return fits
