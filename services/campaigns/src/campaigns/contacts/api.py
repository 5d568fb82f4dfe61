"""Contacts over HTTP. `router` holds contacts, imports, lists and tags."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from servicekit.pagination import Page
from servicekit.versions import version_of

from campaigns import csvout
from campaigns.contacts import domain, groups_api, store, usecases
from campaigns.contacts.addresses import HANDLE_CHANNELS
from campaigns.contacts.domain import ContactInput
from campaigns.contacts.importing import api as imports
from campaigns.context import Context
from campaigns.http import Ctx, Cursor, IfMatch, Limit, Operator, Viewer, etag, shown

contacts = APIRouter(prefix="/v1/contacts", tags=["contacts"])
Query200 = Annotated[str, Query(max_length=200)]
ListId = Annotated[str, Query(max_length=64, alias="list")]


class ContactEdit(ContactInput):
    """An edit; `version` (or If-Match) is the version it is based on."""

    version: int | None = Field(default=None, ge=1)


@contacts.get("")
async def list_contacts(
    *, ctx: Ctx, _: Viewer, q: Query200 = "", list_id: ListId = "", tag: Query200 = "",
    cursor: Cursor = None, limit: Limit = 50,
) -> Page[dict[str, Any]]:  # fmt: skip
    """List contacts, newest first; *q* is the beginning of a name, of a word of it, or of an address."""
    found = await usecases.search(ctx, q=q, list_id=list_id, tag=tag, cursor=cursor, limit=limit)
    return Page(items=[_out(one) for one in found.items], next_cursor=found.next_cursor)


@contacts.post("", status_code=201)
async def create_contact(ctx: Ctx, _: Operator, given: ContactInput, response: Response) -> dict[str, Any]:
    """Create a contact; refused where an address is another contact's."""
    made = await usecases.create(ctx, given)
    response.headers.update({**etag(made), "Location": f"/v1/contacts/{made['_id']}"})
    return _out(made)


@contacts.put("")
async def upsert_contact(ctx: Ctx, _: Operator, given: ContactInput, response: Response) -> dict[str, Any]:
    """Create the contact, or edit the one that owns any of the addresses given; tags and lists are added to."""
    contact, outcome = await usecases.upsert(ctx, given)
    response.headers.update(etag(contact))
    response.status_code = 201 if outcome == "inserted" else 200
    return {"outcome": outcome, **_out(contact)}


@contacts.get("/export")
async def export_contacts(ctx: Ctx, _: Operator, list_id: ListId = "", tag: Query200 = "") -> StreamingResponse:
    """Download contacts as CSV, of one list or tag or all; cells that a spreadsheet would run are made harmless."""
    names = await _attribute_names(ctx, list_id, tag)
    header = ["name", "email", "phone", *HANDLE_CHANNELS[1:], "tags", *names]
    return csvout.download("contacts.csv", header, _rows(ctx, list_id, tag, names))


@contacts.get("/{contact_id}")
async def read_contact(ctx: Ctx, _: Viewer, contact_id: str, response: Response) -> dict[str, Any]:
    """Return a contact."""
    found = await store.get(ctx, contact_id)
    response.headers.update(etag(found))
    return _out(found)


@contacts.patch("/{contact_id}")
async def edit_contact(
    *, ctx: Ctx, _: Operator, contact_id: str, given: ContactEdit, response: Response, if_match: IfMatch = None
) -> dict[str, Any]:
    """Edit a contact at the version read; what is absent stays, an empty text clears."""
    version = version_of(if_match, given.version)
    edited = ContactInput.model_validate(given.model_dump(exclude={"version"}, exclude_unset=True))
    saved = await usecases.edit(ctx, contact_id, edited, version)
    response.headers.update(etag(saved))
    return _out(saved)


@contacts.delete("/{contact_id}", status_code=204)
async def delete_contact(ctx: Ctx, _: Operator, contact_id: str) -> Response:
    """Delete a contact; suppressions of its addresses stay."""
    await usecases.delete(ctx, contact_id)
    return Response(status_code=204)


def _out(contact: dict[str, Any]) -> dict[str, Any]:
    return shown(contact, without=("import",))


async def _every(ctx: Context, list_id: str, tag: str) -> AsyncIterator[dict[str, Any]]:
    """Yield contacts, newest first, a page at a time."""
    cursor: str | None = None
    while True:
        page = await usecases.search(ctx, list_id=list_id, tag=tag, cursor=cursor, limit=1_000)
        for contact in page.items:
            yield contact
        cursor = page.next_cursor
        if cursor is None:
            return


async def _attribute_names(ctx: Context, list_id: str, tag: str) -> list[str]:
    """Return the names of all attributes: a first pass, since a CSV's header comes before its rows."""
    names: set[str] = set()
    async for contact in _every(ctx, list_id, tag):
        names.update(contact.get("attributes") or {})
    return sorted(names)[: domain.MAX_ATTRIBUTES]


async def _rows(ctx: Context, list_id: str, tag: str, names: list[str]) -> AsyncIterator[list[object]]:
    async for c in _every(ctx, list_id, tag):
        handles, attributes = c.get("handles") or {}, c.get("attributes") or {}
        yield [
            c.get("name"), c.get("email"), c.get("phone"), *(handles.get(n) for n in HANDLE_CHANNELS[1:]),
            ";".join(c.get("tags") or []), *(attributes.get(n) for n in names),
        ]  # fmt: skip


router = APIRouter()
for part in (imports.router, contacts, groups_api.lists, groups_api.tags):
    router.include_router(part)
