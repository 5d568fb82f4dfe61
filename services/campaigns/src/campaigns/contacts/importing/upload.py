"""A file on its way in: from the request to disk, checked, and from there to the object store in pieces of 8 MB."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from typing import Any, BinaryIO, cast

import orjson
from fastapi import Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from servicekit.errors import Invalid, TooLarge
from servicekit.objects import ObjectBucket

from campaigns.context import Context

PIECE_BYTES = 8 << 20
_SPOOL_BYTES = 1 << 20
_LISTED = ("lists", "tags")


class Options(BaseModel):
    """How a file is to be read and what its contacts get."""

    model_config = ConfigDict(extra="forbid")

    mapping: dict[str, str] | None = Field(default=None, description="Column → field; automatic where absent")
    lists: list[str] = Field(default_factory=list, max_length=50)
    tags: list[str] = Field(default_factory=list, max_length=50)
    key: str | None = Field(default=None, description="email, phone, …: the address contacts are matched by, required")
    region: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    encoding: str | None = Field(default=None, max_length=40)
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    filename: str = Field(default="", max_length=255)


@contextlib.asynccontextmanager
async def received(request: Request, max_bytes: int) -> AsyncIterator[tuple[BinaryIO, Options]]:
    """Give the uploaded file on disk and the options beside it; multipart (field `file`), or the plain body.

    Raises TooLarge over *max_bytes*, Invalid for options that do not fit.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with request.form(max_files=1, max_fields=50) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) and not hasattr(file, "file"):
                raise Invalid({"file": "is missing: send it as the multipart field `file`"})
            upload = cast("UploadFile", file)
            if (upload.size or 0) > max_bytes:
                raise TooLarge(f"the file is larger than {max_bytes} bytes")
            fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
            yield upload.file, _options([*fields, *request.query_params.multi_items()], upload.filename or "")
        return
    with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge(f"the file is larger than {max_bytes} bytes")
            spool.write(chunk)
        yield cast("BinaryIO", spool), _options(request.query_params.multi_items(), "")


def _options(given: list[tuple[str, str]], filename: str) -> Options:
    raw: dict[str, Any] = {"filename": filename[:255]} if filename else {}
    for name, value in given:
        if name in _LISTED:
            raw.setdefault(name, []).extend(part.strip() for part in value.split(",") if part.strip())
        elif name == "mapping":
            try:
                raw[name] = orjson.loads(value)
            except ValueError as error:
                raise Invalid({"mapping": "is not a JSON object of column → field"}) from error
        elif value:
            raw[name] = value
    try:
        return Options.model_validate(raw)
    except ValidationError as error:
        raise Invalid({".".join(map(str, e["loc"])): e["msg"] for e in error.errors()}) from error


async def keep(ctx: Context, file: BinaryIO) -> tuple[list[str], int]:
    """Store the file in pieces; return their ids and the size. What a crash leaves is collected as orphans."""
    media, ids, size = ObjectBucket(ctx.bus, "media"), list[str](), 0
    file.seek(0)
    while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
        ids.append(await media.put(piece))
        size += len(piece)
    return ids, size


@contextlib.asynccontextmanager
async def fetched(ctx: Context, pieces: list[str]) -> AsyncIterator[BinaryIO]:
    """Give a stored file on this machine's disk. Raises NotFound where a piece is gone, Unavailable."""
    media = ObjectBucket(ctx.bus, "media")
    with tempfile.TemporaryFile() as file:
        for piece in pieces:
            await asyncio.to_thread(file.write, await media.get(piece))
        file.seek(0)
        yield cast("BinaryIO", file)
