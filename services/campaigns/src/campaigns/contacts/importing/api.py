"""Imports over HTTP: preview, begin, watch, cancel, and the report of what was wrong with which line."""

from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from servicekit.errors import Conflict, Invalid
from servicekit.pagination import Page

from campaigns import csvout, paging
from campaigns.contacts import domain, groups
from campaigns.contacts.importing import mapping, store, upload
from campaigns.contacts.importing.table import Table, read_table
from campaigns.contacts.importing.upload import Options
from campaigns.context import Context
from campaigns.http import Ctx, Cursor, Limit, Operator, Viewer, shown

router = APIRouter(prefix="/v1/contacts/imports", tags=["imports"])
BODY_BYTES = 256 << 20
"""What the route takes at most; the setting `import_max_bytes` is checked while the file arrives."""
PREVIEW_ROWS = 20
_HIDDEN = ("pieces", "lease", "slices", "tags_used", "tries")


@router.post("", status_code=202, max_body_size=BODY_BYTES)
async def begin_import(ctx: Ctx, who: Operator, request: Request) -> dict[str, Any]:
    """Take a CSV (multipart field `file`, or the body itself), check its head, and import it in the background."""
    async with upload.received(request, ctx.settings.import_max_bytes) as (file, options):
        table = await run_in_threadpool(_read, file, options)
        chosen = await _chosen(ctx, options, table)
        pieces, size = await upload.keep(ctx, file)
        made = await store.create(
            ctx,
            {"filename": options.filename, "size": size, "pieces": pieces, "columns": table.columns,
             "options": chosen, "created_by": who.subject},
        )  # fmt: skip
    return shown(made, without=_HIDDEN)


@router.post("/preview", max_body_size=BODY_BYTES)
async def preview(ctx: Ctx, _: Operator, request: Request) -> dict[str, Any]:
    """Return columns, mapping and the first 20 lines as they would be taken; nothing is stored."""
    async with upload.received(request, ctx.settings.import_max_bytes) as (file, options):
        table = await run_in_threadpool(_read, file, options)
        wrong: list[dict[str, str]] = []
        given = options.mapping or mapping.automatic(table.columns)
        try:
            given = mapping.checked(options.mapping, table.columns)
        except Invalid as error:
            wrong = [{"field": f, "message": text} for f, texts in error.fields.items() for text in texts]
        region = options.region or ctx.settings.default_region
        rows = await run_in_threadpool(lambda: list(islice(table.rows(), PREVIEW_ROWS)))
        parsed = [mapping.parse(row, given, region, options.key) for row in rows]
    return {
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "columns": table.columns,
        "mapping": given,
        "fields": mapping.FIELDS,
        "problems": wrong,
        "rows": [
            {"line": p.line, "cells": row.cells, "contact": p.fields, "problems": [vars(x) for x in p.problems]}
            for row, p in zip(rows, parsed, strict=True)
        ],
    }


def _read(file: BinaryIO, options: Options) -> Table:
    return read_table(file, encoding=options.encoding, delimiter=options.delimiter)


async def _chosen(ctx: Context, options: Options, table: Table) -> dict[str, Any]:
    """Return the options as they will be used, whole and checked. Raises Invalid by field."""
    await groups.require_lists(ctx, options.lists)
    if options.key is not None and options.key not in mapping.ADDRESS_FIELDS:
        raise Invalid({"key": f"is one of {', '.join(mapping.ADDRESS_FIELDS)}"})
    try:
        tags = sorted({domain.tag(text) for text in options.tags})
    except ValueError as error:
        raise Invalid({"tags": str(error)}) from error
    return {
        "mapping": mapping.checked(options.mapping, table.columns),
        "lists": sorted(set(options.lists)),
        "tags": tags,
        "key": options.key,
        "region": options.region or ctx.settings.default_region,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
    }


@router.get("")
async def list_imports(ctx: Ctx, _: Viewer, cursor: Cursor = None, limit: Limit = 50) -> Page[dict[str, Any]]:
    """List imports, newest first."""
    found = await paging.newest_first(ctx.db["imports"], {}, key="seq", cursor=cursor, limit=limit)
    return Page(items=[shown(one, without=_HIDDEN) for one in found.items], next_cursor=found.next_cursor)


@router.get("/{import_id}")
async def read_import(ctx: Ctx, _: Viewer, import_id: str) -> dict[str, Any]:
    """Return an import with its progress and counts."""
    return shown(await store.get(ctx, import_id), without=_HIDDEN)


@router.get("/{import_id}/problems")
async def list_problems(
    *, ctx: Ctx, _: Viewer, import_id: str, kind: str = "", cursor: Cursor = None, limit: Limit = 100
) -> Page[dict[str, Any]]:
    """List by line what was rejected, cleaned or double (*kind*: rejected, cleaned, duplicate), with field and reason."""
    work = await store.get(ctx, import_id)
    found = await store.problems(ctx, work, kind=kind, cursor=cursor, limit=limit)
    items = [{n: p[n] for n in ("line", "kind", "field", "reason", "value")} for p in found.items]
    return Page(items=items, next_cursor=found.next_cursor)


@router.get("/{import_id}/problems.csv")
async def download_problems(ctx: Ctx, _: Viewer, import_id: str) -> StreamingResponse:
    """Download the report as CSV."""
    work = await store.get(ctx, import_id)
    columns = ("line", "kind", "field", "reason", "value")

    async def rows() -> AsyncIterator[list[object]]:
        async for problem in store.every_problem(ctx, work):
            yield [problem[name] for name in columns]

    return csvout.download(f"import-{import_id}.csv", columns, rows())


@router.post("/{import_id}/cancel")
async def cancel_import(ctx: Ctx, _: Operator, import_id: str) -> dict[str, Any]:
    """Stop an import; what was imported stays."""
    await store.get(ctx, import_id)
    await store.end(ctx, import_id, "cancelled")
    return shown(await store.get(ctx, import_id), without=_HIDDEN)


@router.delete("/{import_id}", status_code=204)
async def delete_import(ctx: Ctx, _: Operator, import_id: str) -> Response:
    """Forget an import that has ended, with its report."""
    work = await store.get(ctx, import_id)
    if work["status"] in {"queued", "running"}:
        raise Conflict("the import is still running: cancel it first", reason="running")
    await store.delete(ctx, work)
    return Response(status_code=204)
