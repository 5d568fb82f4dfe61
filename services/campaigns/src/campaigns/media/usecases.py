"""Files in the media store, and what is known of them in the store."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from typing import Any

from contracts.commands import Attachment
from servicekit.clock import utcnow
from servicekit.errors import Invalid, NotFound, TooLarge
from servicekit.mongo import IndexModel, ensure_indexes
from servicekit.objects import ObjectBucket

from campaigns.contacts import addresses
from campaigns.contacts import store as contacts
from campaigns.context import Context

Document = dict[str, Any]
_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,100}", re.ASCII)
_UNFIT = re.compile(r'[/\\:*?"<>|]')


async def prepare(ctx: Context) -> None:
    """Create the indexes."""
    await ensure_indexes(ctx.db["media"], [IndexModel("seq")])


def bucket(ctx: Context) -> ObjectBucket:
    """Return the object store of attachments."""
    return ObjectBucket(ctx.bus, "media")


def file_name(text: str) -> str:
    """Return a name fit for a mail header and a disk: the last part of a path, on one line."""
    last = re.split(r"[/\\]", text)[-1]
    return _UNFIT.sub("_", addresses.one_line(last))[:200].strip(". ") or "file"


def plain_type(text: str) -> str:
    """Return a content type fit for a header; what a stranger's mail claims may be none."""
    return text if _TYPE.fullmatch(text) else "application/octet-stream"


async def add(ctx: Context, data: bytes, filename: str, content_type: str, by: str) -> Document:
    """Store a file; the content first, so that what a crash leaves is an orphan, not a promise. Raises TooLarge, Invalid."""
    if len(data) > ctx.settings.media_max_bytes:
        raise TooLarge(f"{len(data)} bytes, at most {ctx.settings.media_max_bytes} are taken")
    if not data:
        raise Invalid({"file": "is empty"})
    made: Document = {
        "_id": contacts.new_id(),
        "seq": await contacts.next_numbers(ctx, "media"),
        "object": await bucket(ctx).put(data),
        "filename": file_name(filename),
        "content_type": plain_type(content_type),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created_at": utcnow(),
        "created_by": by,
    }
    await ctx.db["media"].insert_one(made)
    return made


async def get(ctx: Context, media_id: str) -> Document:
    """Return what is known of a file. Raises NotFound."""
    found = await ctx.db["media"].find_one({"_id": media_id})
    if found is None:
        raise NotFound(f"there is no file {media_id}")
    return found


async def delete(ctx: Context, media_id: str) -> None:
    """Forget a file; its content goes when nothing else names it. Raises NotFound."""
    await get(ctx, media_id)
    await ctx.db["media"].delete_one({"_id": media_id})


async def attachments(ctx: Context, ids: Iterable[str]) -> list[Attachment]:
    """Return files as a message carries them, in the order given. Raises Invalid naming those that do not exist."""
    wanted = list(ids)
    found = await ctx.db["media"].find_list({"_id": {"$in": wanted}}, limit=max(1, len(wanted)))
    by_id = {str(one["_id"]): one for one in found}
    if missing := [one for one in wanted if one not in by_id]:
        raise Invalid({"attachments": f"there is no file {', '.join(missing)}"})
    return [
        Attachment(object=m["object"], filename=m["filename"], content_type=m["content_type"], size=m["size"])
        for m in (by_id[one] for one in wanted)
    ]


async def attachment(ctx: Context, media_id: str) -> Attachment:
    """Return one file as a message carries it. Raises Invalid where it does not exist."""
    return (await attachments(ctx, [media_id]))[0]


async def content(ctx: Context, object_id: str) -> AsyncIterator[bytes]:
    """Return a stream of an object's content. Raises NotFound, Unavailable before the first byte."""
    stored = bucket(ctx)
    await stored.info(object_id)
    return stored.stream(object_id)
