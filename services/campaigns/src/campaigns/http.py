"""What the service's routes share: who calls, versions as ETags, JSON of stored documents."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Query
from servicekit.auth import Principal, Role, require
from servicekit.pagination import MAX_PAGE

from campaigns.context import Context, context

Ctx = Annotated[Context, Depends(context)]
Viewer = Annotated[Principal, Depends(require(Role.VIEWER))]
Operator = Annotated[Principal, Depends(require(Role.OPERATOR))]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=500)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=100)]

_PRIVATE = frozenset({"pending_events", "relay_at", "search", "addresses", "dirty", "changes", "key", "seq"})


def etag(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the header that names a document's version."""
    return {"ETag": f'"{document["version"]}"'}


def shown(document: Mapping[str, Any], *, without: Iterable[str] = ()) -> dict[str, Any]:
    """Return a stored document for people: `_id` as `id`, nothing internal."""
    hidden = _PRIVATE | set(without)
    return {("id" if name == "_id" else name): value for name, value in document.items() if name not in hidden}
