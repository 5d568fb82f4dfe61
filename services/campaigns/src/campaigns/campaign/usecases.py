"""What people do with campaigns."""

import re
from itertools import islice
from typing import Any, BinaryIO

from contracts.channels import Channel
from contracts.commands import Recipient
from contracts.ids import row_id
from pydantic import ValidationError
from servicekit.clock import utcnow
from servicekit.errors import Conflict, Invalid, Permanent, StaleVersion
from servicekit.failpoints import failpoint
from servicekit.mongo import Document
from servicekit.pagination import Page

from campaigns import paging
from campaigns.campaign import files, recipients, store, validation
from campaigns.campaign.content import Compiled, compile_content
from campaigns.campaign.domain import RUNNING, CampaignIn, given, may_edit
from campaigns.campaign.recipients import parts
from campaigns.campaign.store import Campaign
from campaigns.campaign.template import noting
from campaigns.contacts import addresses
from campaigns.contacts.importing.upload import Options
from campaigns.context import Context
from campaigns.outbox import counts, direct
from campaigns.outbox.rows import ROWS, SLICE_ROWS, slice_of
from campaigns.outbox.usecases import again


async def create(ctx: Context, wanted: CampaignIn) -> Campaign:
    """Store a draft. Raises Invalid for templates that cannot be, attachments that do not exist."""
    fields = wanted.model_dump()
    made = await store.insert(ctx, {**fields, **await validation.prepared(ctx, fields)})
    await ctx.hub.publish("campaign", [made["_id"]])
    return made


async def edit(ctx: Context, campaign_id: str, version: int | None, changes: dict[str, Any]) -> Campaign:
    """Change what is given. Raises Invalid for fields that cannot be, or not any more; StaleVersion."""
    campaign = await store.get(ctx, campaign_id)
    if version is not None and campaign["version"] != version:
        raise StaleVersion(campaign["version"])
    changed = _checked(campaign, changes)
    late = may_edit(campaign["status"], set(changed))
    if late:
        raise Invalid(dict.fromkeys(sorted(late), f"cannot be changed while the campaign is {campaign['status']}"))
    prepared = await validation.prepared(ctx, {**campaign, **changed})
    found = await store.edit(ctx, campaign, {**changed, **prepared})
    if campaign["status"] in RUNNING:
        await store.wake(ctx, campaign_id)  # its start, hours or pace may be others now
    await ctx.hub.publish("campaign", [campaign_id])
    return found


def _checked(campaign: Campaign, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that truly change, validated together with those that stay."""
    before = given(campaign).model_dump()
    try:
        after = CampaignIn.model_validate({**before, **changes}).model_dump()
    except ValidationError as error:
        raise Invalid(
            {".".join(map(str, e["loc"])): e["msg"].removeprefix("Value error, ") for e in error.errors()}
        ) from error
    return {name: value for name, value in after.items() if before[name] != value}


async def delete(ctx: Context, campaign_id: str) -> None:
    """Delete a draft. Raises Conflict for anything else: what was sent stays on record."""
    await store.get(ctx, campaign_id)
    done = await store.collection(ctx).delete_one({"_id": campaign_id, "status": "draft"})
    if not done.deleted_count:
        raise Conflict("only a draft can be deleted")
    await ctx.hub.publish("campaign", [campaign_id])


async def duplicate(ctx: Context, campaign_id: str) -> Campaign:
    """Return a new draft with the same words, audience and accounts; its schedule is not copied."""
    old = await store.get(ctx, campaign_id)
    fields = {**given(old).model_dump(), "schedule": {}, "name": f"{old['name'][:190]} (copy)", "media": old["media"]}
    return await store.insert(ctx, {**fields, "file": old.get("file")})


async def upload(ctx: Context, campaign_id: str, file: BinaryIO, options: Options) -> Campaign:
    """Take a file of recipients for a draft; its columns become variables. Raises Invalid, TooLarge, Conflict."""
    campaign = await store.get(ctx, campaign_id)
    if campaign["status"] != "draft":
        raise Conflict("the audience of a campaign is chosen while it is a draft")
    described = await files.store(ctx, file, options)
    return await store.edit(ctx, campaign, {"file": described})


async def process(ctx: Context, campaign_id: str, *, allow_missing: bool = False) -> Campaign:
    """Begin, now or at the schedule's start. Raises Invalid with every error and its field. Safe to repeat."""
    campaign = await store.get(ctx, campaign_id)
    if campaign["status"] in ("processing", "scheduled"):
        return campaign
    if campaign["status"] != "draft":
        raise Conflict(f"a campaign that is {campaign['status']} cannot be processed")
    looked = await validation.ready(ctx, campaign, allow_missing=allow_missing)
    now = utcnow()
    start = (campaign.get("schedule") or {}).get("start")
    later = start is not None and start > now
    changes: dict[str, Any] = {"allow_missing": allow_missing, "attention": None, "started_at": None if later else now}
    changes["looked"] = None if later else looked  # until a later start the audience may change
    where = "scheduled" if later else "processing"
    found = await store.move(ctx, campaign_id, ("draft",), where, due=start if later else now, **changes)
    return found or await store.get(ctx, campaign_id)


async def pause(ctx: Context, campaign_id: str) -> Campaign:
    """Stop: what is queued comes back, the message being sent finishes. Raises Conflict. Safe to repeat."""
    return await _moved(ctx, campaign_id, ("processing", "scheduled"), "paused", attention=None)


async def resume(ctx: Context, campaign_id: str, *, allow_missing: bool | None = None) -> Campaign:
    """Go on where it stopped. *allow_missing* answers a pause for missing variables. Raises Conflict."""
    campaign = await store.get(ctx, campaign_id)
    attention = (campaign.get("attention") or {}).get("reason")
    changes: dict[str, Any] = {"attention": None}
    if allow_missing:
        changes["allow_missing"] = True
    elif attention == "missing_variables" and campaign["status"] == "paused":
        raise Invalid({"allow_missing": "recipients lack variables: say true to send to them without"})
    if campaign["expansion"] is None:
        await validation.ready(ctx, campaign, allow_missing=allow_missing or bool(campaign.get("allow_missing")))
    start = (campaign.get("schedule") or {}).get("start")
    later = start if start is not None and start > utcnow() else None
    return await _moved(ctx, campaign_id, ("paused",), "scheduled" if later else "processing", due=later, **changes)


async def cancel(ctx: Context, campaign_id: str) -> Campaign:
    """End it: nothing more leaves but what is being sent right now. Raises Conflict. Safe to repeat."""
    return await _moved(
        ctx, campaign_id, ("draft", "scheduled", "processing", "paused"), "cancelled", finished_at=utcnow()
    )


async def _moved(ctx: Context, campaign_id: str, come_from: tuple[str, ...], to: str, **changes: Any) -> Campaign:
    found = await store.move(ctx, campaign_id, come_from, to, **changes)
    failpoint("campaign.after_move")
    if found is not None:
        return found
    campaign = await store.get(ctx, campaign_id)
    if campaign["status"] == to:
        return campaign
    raise Conflict(f"a campaign that is {campaign['status']} cannot become {to}")


async def retry_failed(ctx: Context, campaign_id: str) -> Campaign:
    """Ask again for every message that failed, slice by slice; a crash in the middle leaves the rest to be retried."""
    campaign = await store.get(ctx, campaign_id)
    if campaign["status"] not in ("done", "processing", "paused"):
        raise Conflict(f"a campaign that is {campaign['status']} has nothing to retry")
    for account, numbers in campaign["numbers"].items():
        for number in range(0, int(numbers), SLICE_ROWS):
            await _retry_slice(ctx, campaign_id, account, number)
    await store.move(ctx, campaign_id, ("done",), "processing", finished_at=None)
    return await store.get(ctx, campaign_id)


async def _retry_slice(ctx: Context, campaign_id: str, account: str, number: int) -> None:
    name = slice_of(campaign_id, account, number)
    where = {"slice": name, "state": "failed", "reason": {"$ne": "account_deleted"}}
    done = await ctx.db[ROWS].update_many(where, {"$set": again(), "$inc": {"wanted": 1}})
    await counts.touch(ctx, [name])  # also when nothing changed: an earlier call may have died before it
    if done.modified_count:
        await store.wake(ctx, campaign_id, account=account, slice_no=number // SLICE_ROWS)


async def preview(ctx: Context, campaign_id: str, limit: int) -> dict[str, Any]:
    """Return the first messages as their recipients would get them, each with the variables it misses."""
    campaign = await store.get(ctx, campaign_id)
    words = compile_content(campaign)
    items: list[Document] = []
    async for part in parts(ctx, campaign):
        items.extend(_previewed(words, campaign_id, member) for member in islice(part.members, limit - len(items)))
        if len(items) >= limit:
            break
    return {"items": items, "variables": list(words.variables)}


def _previewed(words: Compiled, campaign_id: str, member: recipients.Recipient) -> Document:
    to = {"address": member.address, "name": member.name or None}
    try:
        with noting() as missing:
            content = words.render(member.vars, row_id(campaign_id, member.address))
    except Permanent as error:
        return {"to": to, "error": error.detail, "missing": []}
    return {"to": to, **content.model_dump(mode="json"), "missing": list(missing), "error": None}


async def test_send(ctx: Context, campaign_id: str, to: Recipient, account: str | None, key: str) -> str:
    """Send one message of the campaign to oneself, filled as for its first recipient; return the row's id."""
    campaign = await store.get(ctx, campaign_id)
    account = account or next(iter(campaign["accounts"]), None)
    if account is None:
        raise Invalid({"accounts": "choose at least one"})
    if ctx.accounts.known(Channel(campaign["channel"]), account) is None:
        raise Invalid({"account": f"there is no account {account} of channel {campaign['channel']}"})
    to = _reachable(ctx, campaign, to)
    variables: dict[str, str] = {}
    async for part in parts(ctx, campaign):
        if part.members:
            variables = part.members[0].vars
            break
    content = compile_content(campaign).render(variables, row_id(campaign_id, to.address))
    return await direct.enqueue(
        ctx, account_id=account, channel=Channel(campaign["channel"]), kind="test", to=to, content=content,
        key=f"test/{campaign_id}/{key}",
    )  # fmt: skip


def _reachable(ctx: Context, campaign: Campaign, to: Recipient) -> Recipient:
    """Return the recipient with the address in its normal form. Raises Invalid for one nobody can be reached by."""
    try:
        address = addresses.normalise(campaign["channel"], to.address, ctx.settings.default_region)
    except addresses.AddressError as error:
        raise Invalid({"to.address": str(error)}) from error
    return to.model_copy(update={"address": address})


async def listed(ctx: Context, status: str | None, q: str | None, cursor: str | None, limit: int) -> Page[Document]:
    """Return campaigns, newest first."""
    where: dict[str, Any] = {"kind": "campaign"}
    if status:
        where["status"] = status
    if q:
        where["name"] = {"$regex": f"^{re.escape(q)}", "$options": "i"}
    return await paging.newest_first(store.collection(ctx), where, key="seq", cursor=cursor, limit=limit)
