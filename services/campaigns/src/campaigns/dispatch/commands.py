"""A row becomes a send command: rendered, addressed, with the attempt as its id."""

from typing import Any, NamedTuple, get_args

import orjson
from contracts import subjects
from contracts.channels import Channel
from contracts.commands import OURS, Attachment, Content, Kind, Recipient, SendMessage, Thread
from contracts.headers import CE_ID, MSG_ID, cloud_event
from servicekit import tracing
from servicekit.direct import block
from servicekit.errors import Permanent
from servicekit.objects import ObjectBucket

from campaigns.campaign.content import Compiled, compiled
from campaigns.campaign.store import Campaign
from campaigns.context import Context
from campaigns.dispatch.batch import Batch
from campaigns.dispatch.skeleton import Skeleton
from campaigns.media.usecases import attachments
from campaigns.outbox.rows import Row
from campaigns.suppression import tokens

BODY_BYTES = 256 << 10
_NOW = ("reply", "test")


class Command(NamedTuple):
    """What is published for one row."""

    subject: bytes
    payload: bytes
    head: bytes


def queue_of(kind: str) -> subjects.Queue:
    """Return the queue of a kind of message: what a person waits for goes before what a campaign sends."""
    return "now" if kind in _NOW else "bulk"


class Commands:
    """Makes the commands of one batch: what they share is worked out once."""

    def __init__(self, ctx: Context, campaign: Campaign, batch: Batch) -> None:
        """Compile the campaign's words, unless its rows carry their own."""
        self._ctx, self._batch = ctx, batch
        self._words: Compiled | None = compiled(campaign) if campaign["kind"] == "campaign" else None
        self._skeleton = Skeleton(batch, self._words) if self._words and not self._words.attachment_column else None
        shared = cloud_event(SendMessage, "", ctx.settings.service)
        self._head = block({name: value for name, value in shared.items() if name not in (CE_ID, MSG_ID)})[:-2]
        self._channel = Channel(batch.channel)
        self._subjects = {
            kind: subjects.send(self._channel, batch.account, queue_of(kind)).encode() for kind in get_args(Kind)
        }

    async def of(self, row: Row) -> Command:
        """Return the command of a row's attempt. Raises Permanent, NotFound or Invalid for one that cannot be made."""
        link = self._unsubscribe(row)
        payload = self._skeleton.fill(row, link) if self._skeleton else None
        if payload is None:
            payload = await self._modelled(row, link)
        attempt = f"{row['_id']}.{self._batch.k}"
        own = f"{CE_ID}: {attempt}\r\n{MSG_ID}: {attempt}.{row['wanted']}\r\n{tracing.TRACEPARENT}: {tracing.child()}\r\n\r\n"
        head = self._head + own.encode()
        if len(head) + len(payload) > self._ctx.bus.nc.max_payload:  # would be refused with all of its batch, each time
            raise Permanent("too_large", "the message is larger than the bus takes")
        return Command(self._subjects[row["kind"]], payload, head)

    async def _modelled(self, row: Row, link: str | None) -> bytes:
        content = await _bounded(self._ctx, await self._content(row))
        made = message(self._batch, row, content, link)
        return made.model_dump_json(exclude_defaults=True).encode()

    async def _content(self, row: Row) -> Content:
        if row.get("content") is not None or self._words is None:
            return Content.model_validate(row["content"])
        column = self._words.attachment_column
        attachment = await self._attachment(row["vars"].get(column)) if column else None
        return self._words.render(row["vars"], row["_id"], attachment)

    async def _attachment(self, media_id: Any) -> Attachment | None:
        return (await attachments(self._ctx, [str(media_id)]))[0] if media_id else None

    def _unsubscribe(self, row: Row) -> str | None:
        ctx, kind = self._ctx, row["kind"]
        if self._channel != Channel.EMAIL or kind not in ("campaign", "automation") or not ctx.settings.public_url:
            return None
        known = row["_id"] if kind == "campaign" else ""
        return tokens.url(ctx, self._batch.channel, row["key"], self._batch.campaign, known)


def message(batch: Batch, row: Row, content: Content, link: str | None) -> SendMessage:
    """Return a row's attempt in a batch as the bus knows it."""
    return SendMessage(
        id=row["_id"], source=OURS, account_id=batch.account, kind=row["kind"], campaign_id=batch.campaign,
        row=row["_id"], batch=batch.id, k=batch.k, number=row["number"], wanted=row["wanted"], tries=row["tries"],
        not_after=batch.not_after, to=Recipient.model_validate(row["to"]), content=content,
        thread=Thread.model_validate(row["thread"]) if row.get("thread") else None, unsubscribe_url=link,
    )  # fmt: skip


async def _bounded(ctx: Context, content: Content) -> Content:
    """Put a large body into the media store: messages on the bus stop at 1 MB."""
    if len(orjson.dumps((content.text, content.html))) <= BODY_BYTES:  # as it is written: some characters sixfold
        return content
    body = orjson.dumps({"text": content.text, "html": content.html})
    key = await ObjectBucket(ctx.bus, "media").put(body)
    small = content.model_copy(update={"text": "", "html": None, "body_object": key})
    if len(small.model_dump_json()) > BODY_BYTES * 2:
        raise Permanent("too_large", "bubbles and subject are larger than a message may be")
    return small
