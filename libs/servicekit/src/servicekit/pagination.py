"""Pages by an opaque cursor: the last item's sort key, not an offset, so that inserts never shift a page."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, Field

from servicekit.errors import Invalid

T = TypeVar("T")
MAX_PAGE = 500


class Page(BaseModel, Generic[T]):
    """One page; `next_cursor` is None on the last."""

    items: list[T]
    next_cursor: str | None = Field(default=None, description="Pass as `cursor` to get the next page")


def encode_cursor(value: Any) -> str:
    """Return a JSON value (a sort key, or a list of them) as text for a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(value)).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> Any:
    """Return the value inside, None for no cursor. Raises Invalid for what we did not make."""
    if not cursor:
        return None
    try:
        return orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise Invalid({"cursor": "is not one of ours"}) from error
