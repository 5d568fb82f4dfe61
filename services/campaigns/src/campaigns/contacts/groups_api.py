"""Lists and tags over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from servicekit.errors import Invalid, NotFound
from servicekit.pagination import Page, decode_cursor, encode_cursor
from servicekit.versions import version_of

from campaigns.contacts import groups
from campaigns.context import Context
from campaigns.http import Ctx, Cursor, IfMatch, Limit, Operator, Viewer, etag, shown

lists = APIRouter(prefix="/v1/lists", tags=["lists"])
tags = APIRouter(prefix="/v1/tags", tags=["tags"])


class NewList(BaseModel):
    """A list to make."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)


class ListEdit(BaseModel):
    """An edit of a list; `version` (or If-Match) is the version it is based on."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    version: int | None = Field(default=None, ge=1)


class Members(BaseModel):
    """Contacts to put in or take out."""

    model_config = ConfigDict(extra="forbid")
    contacts: Annotated[list[str], Field(min_length=1, max_length=groups.MAX_MEMBERS)]


class Rename(BaseModel):
    """A tag's new name."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1, max_length=100)


async def _page(ctx: Context, kind: groups.Kind, key: str, cursor: str | None, limit: int) -> Page[dict[str, Any]]:
    """Return lists by name or tags by themselves: there are few, and *key* is indexed."""
    after = decode_cursor(cursor)
    if after is not None and not isinstance(after, str):
        raise Invalid({"cursor": "is not one of ours"})
    where = {key: {"$gt": after}} if after else {}
    found = await ctx.db[kind].find_list(where, sort=[(key, 1)], limit=limit + 1)
    more, items = len(found) > limit, found[:limit]
    return Page(items=[shown(i) for i in items], next_cursor=encode_cursor(items[-1][key]) if more else None)


@lists.get("")
async def list_lists(ctx: Ctx, _: Viewer, cursor: Cursor = None, limit: Limit = 100) -> Page[dict[str, Any]]:
    """List the lists by name, with how many contacts each has (a second or two behind)."""
    return await _page(ctx, "lists", "key", cursor, limit)


@lists.post("", status_code=201)
async def create_list(ctx: Ctx, _: Operator, given: NewList, response: Response) -> dict[str, Any]:
    """Make a list."""
    made = await groups.create_list(ctx, given.name, given.description)
    response.headers.update({**etag(made), "Location": f"/v1/lists/{made['_id']}"})
    return shown(made)


@lists.get("/{list_id}")
async def read_list(ctx: Ctx, _: Viewer, list_id: str, response: Response) -> dict[str, Any]:
    """Return a list."""
    found = await groups.get_list(ctx, list_id)
    response.headers.update(etag(found))
    return shown(found)


@lists.patch("/{list_id}")
async def edit_list(
    *, ctx: Ctx, _: Operator, list_id: str, given: ListEdit, response: Response, if_match: IfMatch = None
) -> dict[str, Any]:
    """Rename or describe a list at the version read."""
    version = version_of(if_match, given.version)
    saved = await groups.edit_list(ctx, list_id, version, given.name, given.description)
    response.headers.update(etag(saved))
    return shown(saved)


@lists.delete("/{list_id}", status_code=204)
async def delete_list(ctx: Ctx, _: Operator, list_id: str) -> Response:
    """Delete a list; its contacts stay."""
    await groups.delete_list(ctx, list_id)
    return Response(status_code=204)


@lists.post("/{list_id}/members")
async def add_to_list(ctx: Ctx, _: Operator, list_id: str, given: Members) -> dict[str, int]:
    """Put contacts into a list; safe to repeat."""
    return {"changed": await groups.add_members(ctx, "lists", list_id, given.contacts)}


@lists.post("/{list_id}/members/remove")
async def remove_from_list(ctx: Ctx, _: Operator, list_id: str, given: Members) -> dict[str, int]:
    """Take contacts out of a list; safe to repeat."""
    await groups.get_list(ctx, list_id)
    return {"changed": await groups.remove_members(ctx, "lists", list_id, given.contacts)}


@tags.get("")
async def list_tags(ctx: Ctx, _: Viewer, cursor: Cursor = None, limit: Limit = 100) -> Page[dict[str, Any]]:
    """List the tags in use, with how many contacts each has (a second or two behind)."""
    return await _page(ctx, "tags", "_id", cursor, limit)


@tags.patch("/{tag}")
async def rename_tag(ctx: Ctx, _: Operator, tag: str, given: Rename) -> dict[str, str]:
    """Give every contact with this tag another one instead."""
    await _known(ctx, tag)
    return {"id": await groups.rename_tag(ctx, tag, given.name)}


@tags.delete("/{tag}", status_code=204)
async def delete_tag(ctx: Ctx, _: Operator, tag: str) -> Response:
    """Take a tag from every contact."""
    await _known(ctx, tag)
    await groups.delete_tag(ctx, tag)
    return Response(status_code=204)


@tags.post("/{tag}/members")
async def give_tag(ctx: Ctx, _: Operator, tag: str, given: Members) -> dict[str, int]:
    """Give contacts a tag (made by its first use); safe to repeat."""
    return {"changed": await groups.add_members(ctx, "tags", tag, given.contacts)}


@tags.post("/{tag}/members/remove")
async def take_tag(ctx: Ctx, _: Operator, tag: str, given: Members) -> dict[str, int]:
    """Take a tag from contacts; safe to repeat."""
    return {"changed": await groups.remove_members(ctx, "tags", tag, given.contacts)}


async def _known(ctx: Context, tag: str) -> None:
    if await ctx.db["tags"].find_one({"_id": tag}) is None:
        raise NotFound(f"there is no tag {tag}")
