"""A row becomes a send command: rendered, addressed, with the attempt as its id."""

from typing import Any

import orjson
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import OURS, Attachment, Content, Recipient, SendMessage, Thread
from contracts.headers import MSG_ID, cloud_event
from servicekit import tracing
from servicekit.errors import Permanent
from servicekit.objects import ObjectBucket

from campaigns.campaign.content import compiled
from campaigns.campaign.store import Campaign
from campaigns.context import Context
from campaigns.dispatch.batch import Batch
from campaigns.media.usecases import attachments
from campaigns.outbox.rows import Row
from campaigns.suppression import tokens

BODY_BYTES = 256 << 10
_NOW = ("reply", "test")


def queue_of(kind: str) -> subjects.Queue:
    """Return the queue of a kind of message: what a person waits for goes before what a campaign sends."""
    return "now" if kind in _NOW else "bulk"


async def command(ctx: Context, campaign: Campaign, batch: Batch, row: Row) -> tuple[str, bytes, dict[str, str]]:
    """Return subject, payload and headers of a row's attempt in a batch. Raises Permanent for one that cannot be made."""
    to = Recipient.model_validate(row["to"])
    content = await _bounded(ctx, await _content(ctx, campaign, row))
    message = SendMessage(
        id=row["_id"], source=OURS, account_id=batch.account, kind=row["kind"], campaign_id=batch.campaign,
        row=row["_id"], batch=batch.id, k=batch.k, number=row["number"], wanted=row["wanted"], tries=row["tries"],
        not_after=batch.not_after, to=to, content=content,
        thread=Thread.model_validate(row["thread"]) if row.get("thread") else None,
        unsubscribe_url=_unsubscribe(ctx, batch, row),
    )  # fmt: skip
    headers = {**cloud_event(message, message.attempt, ctx.settings.service), tracing.TRACEPARENT: tracing.child()}
    headers[MSG_ID] = f"{message.attempt}.{message.wanted}"
    subject = subjects.send(Channel(batch.channel), batch.account, queue_of(row["kind"]))
    return subject, message.model_dump_json(exclude_defaults=True).encode(), headers


async def _content(ctx: Context, campaign: Campaign, row: Row) -> Content:
    if row.get("content") is not None:
        return Content.model_validate(row["content"])
    words = compiled(campaign)
    attachment = await _attachment(ctx, row["vars"].get(words.attachment_column)) if words.attachment_column else None
    return words.render(row["vars"], row["_id"], attachment)


async def _attachment(ctx: Context, media_id: Any) -> Attachment | None:
    if not media_id:
        return None
    return (await attachments(ctx, [str(media_id)]))[0]


async def _bounded(ctx: Context, content: Content) -> Content:
    """Put a large body into the media store: messages on the bus stop at 1 MB."""
    if len(content.text.encode()) + len((content.html or "").encode()) <= BODY_BYTES:
        return content
    body = orjson.dumps({"text": content.text, "html": content.html})
    key = await ObjectBucket(ctx.bus, "media").put(body)
    small = content.model_copy(update={"text": "", "html": None, "body_object": key})
    if len(small.model_dump_json()) > BODY_BYTES * 2:
        raise Permanent("too_large", "bubbles and subject are larger than a message may be")
    return small


def _unsubscribe(ctx: Context, batch: Batch, row: Row) -> str | None:
    if batch.channel != Channel.EMAIL or row["kind"] not in ("campaign", "automation") or not ctx.settings.public_url:
        return None
    return tokens.url(ctx, batch.channel, row["key"], batch.campaign)
