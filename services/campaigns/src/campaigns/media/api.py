"""Files over HTTP: upload, what is known of one, download."""

from collections.abc import AsyncIterator
from typing import Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Request, Response, UploadFile
from fastapi.responses import StreamingResponse
from servicekit.errors import Invalid, TooLarge
from servicekit.pagination import Page

from campaigns import paging
from campaigns.http import Ctx, Cursor, Limit, Operator, Viewer, shown
from campaigns.media import usecases

router = APIRouter(prefix="/v1/media", tags=["media"])
BODY_BYTES = 32 << 20
"""What the route takes at most; the setting `media_max_bytes` (25 MB) is checked for the file itself."""


@router.post("", status_code=201, max_body_size=BODY_BYTES)
async def upload(ctx: Ctx, who: Operator, request: Request) -> dict[str, Any]:
    """Take a file (multipart, field `file`)."""
    async with request.form(max_files=1, max_fields=10) as form:
        file = form.get("file")
        if not hasattr(file, "file"):
            raise Invalid({"file": "is missing: send it as the multipart field `file`"})
        given = cast("UploadFile", file)
        if (given.size or 0) > ctx.settings.media_max_bytes:
            raise TooLarge(f"the file has {given.size} bytes, at most {ctx.settings.media_max_bytes} are taken")
        made = await usecases.add(
            ctx, await given.read(), given.filename or "file", given.content_type or "", who.subject
        )
    return shown(made, without=("object",))


@router.get("")
async def list_media(ctx: Ctx, _: Viewer, cursor: Cursor = None, limit: Limit = 50) -> Page[dict[str, Any]]:
    """List files, newest first."""
    found = await paging.newest_first(ctx.db["media"], {}, key="seq", cursor=cursor, limit=limit)
    return Page(items=[shown(one, without=("object",)) for one in found.items], next_cursor=found.next_cursor)


@router.get("/{media_id}")
async def read_media(ctx: Ctx, _: Viewer, media_id: str) -> dict[str, Any]:
    """Return a file's name, type, size and digest."""
    return shown(await usecases.get(ctx, media_id), without=("object",))


@router.get("/{media_id}/content")
async def download(ctx: Ctx, _: Viewer, media_id: str) -> StreamingResponse:
    """Download a file; never shown inside our own pages, whatever its type says."""
    found = await usecases.get(ctx, media_id)
    stream = await usecases.content(ctx, found["object"])
    return as_download(stream, found["filename"], found["content_type"], found["size"])


@router.delete("/{media_id}", status_code=204)
async def delete_media(ctx: Ctx, _: Operator, media_id: str) -> Response:
    """Forget a file; messages that carry it still do."""
    await usecases.delete(ctx, media_id)
    return Response(status_code=204)


def as_download(stream: AsyncIterator[bytes], filename: str, content_type: str, size: int) -> StreamingResponse:
    """Return a stream that a browser saves and does not interpret."""
    ascii_name = filename.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    headers = {
        "Content-Disposition": f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename)}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=86400",
        "Content-Length": str(size),
    }
    return StreamingResponse(stream, media_type=usecases.plain_type(content_type), headers=headers)
