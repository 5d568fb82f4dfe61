"""What has to be right before a campaign is processed: every error with its field, all at once."""

import asyncio
from collections.abc import Mapping
from typing import Any

from contracts.channels import EXTRACTORS, Channel
from servicekit.clock import utcnow
from servicekit.errors import Invalid, Permanent

from campaigns.campaign.content import Compiled, compile_content
from campaigns.campaign.missing import STANDARD, Missing, meant
from campaigns.campaign.recipients import parts
from campaigns.campaign.store import Campaign
from campaigns.contacts.groups import require_lists
from campaigns.context import Context
from campaigns.media.usecases import attachments

CHECKED_AT_ONCE = 2_000
SAMPLE = 50
EVERYBODY: list[Any] = ["done", 0]
"""How far a look went that met the audience's end."""

Wrong = dict[str, Any]


async def prepared(ctx: Context, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to store beside what a person gave: attachments resolved. Raises Invalid, templates included."""
    wrong: Wrong = {}
    if Channel(fields["channel"]) in EXTRACTORS:
        wrong["channel"] = "is for extractors: it sends no messages"
    media: list[dict[str, Any]] = []
    try:
        found = await attachments(ctx, fields.get("attachments") or [])
        media = [one.model_dump(mode="json") for one in found]
    except Invalid as error:
        wrong.update(error.fields)
    try:
        words = await asyncio.to_thread(compile_content, {**fields, "media": media}, trial=True)
        wrong.update(_unknown_variables(fields, words))
    except Invalid as error:
        wrong.update(error.fields)
    if wrong:
        raise Invalid(wrong)
    return {"media": media}


def _unknown_variables(fields: Mapping[str, Any], words: Compiled) -> Wrong:
    """Return an error per field for names that no recipient can have: knowable where a file is the whole audience."""
    if fields.get("lists") or fields.get("audience_tags") or not fields.get("file"):
        return {}
    known = {*STANDARD, *(target.removeprefix("attribute:") for target in fields["file"]["mapping"].values())}
    wrong: Wrong = {}
    for template in words.templates:
        unknown = [f"{name}{meant(name, known)}" for name in template.variables if name not in known]
        if unknown:
            wrong[template.field] = f"unknown variable {', '.join(unknown)}; there are {', '.join(sorted(known))}"
    return wrong


async def ready(ctx: Context, campaign: Campaign, *, allow_missing: bool = False) -> list[Any]:
    """Return how far its recipients were looked at; raise Invalid naming everything that keeps it from being processed."""
    wrong: Wrong = {}
    looked = EVERYBODY
    wrong.update(_accounts(ctx, campaign))
    wrong.update(_words(campaign))
    if campaign["channel"] == Channel.EMAIL and not ctx.settings.public_url and not ctx.settings.practice:
        wrong["public_url"] = "PUBLIC_URL must be set: bulk e-mail carries a one-click unsubscribe link"
    schedule = campaign.get("schedule") or {}
    if schedule.get("end") and schedule["end"] <= utcnow():
        wrong["schedule.end"] = "has passed"
    for check in (require_lists(ctx, campaign.get("lists") or []), prepared(ctx, campaign)):
        try:
            await check
        except Invalid as error:
            wrong.update(error.fields)
    if not wrong:
        found, looked = await _audience(ctx, campaign, allow_missing=allow_missing)
        wrong.update(found)
    if wrong:
        raise Invalid(wrong)
    return looked


def _accounts(ctx: Context, campaign: Campaign) -> Wrong:
    wrong: Wrong = {}
    if not campaign["accounts"]:
        wrong["accounts"] = "choose at least one"
    for position, account in enumerate(campaign["accounts"]):
        desired = ctx.accounts.known(Channel(campaign["channel"]), account)
        if desired is None:
            wrong[f"accounts.{position}"] = f"there is no account {account} of channel {campaign['channel']}"
        elif desired.status != "active":
            wrong[f"accounts.{position}"] = f"account {account} is not active"
    return wrong


def _words(campaign: Campaign) -> Wrong:
    wrong: Wrong = {}
    if not _says_something(campaign):
        wrong["text"] = "is empty"
    if campaign["channel"] == Channel.EMAIL:
        if not (campaign.get("subject") or "").strip():
            wrong["subject"] = "is empty"
        if campaign.get("bubbles"):
            wrong["bubbles"] = "an e-mail is one message"
    if not (campaign.get("lists") or campaign.get("audience_tags") or campaign.get("file")):
        wrong["lists"] = "choose lists, audience_tags, or upload a file of recipients"
    return wrong


def _says_something(campaign: Campaign) -> bool:
    """Return whether there is anything to send; a chat has no HTML."""
    words = [campaign.get("text"), *(campaign.get("bubbles") or ())]
    if campaign["channel"] == Channel.EMAIL:
        words.append(campaign.get("html"))
    files = campaign.get("attachments") or campaign.get("attachment_column")
    return bool(files) or any((one or "").strip() for one in words)


async def _audience(ctx: Context, campaign: Campaign, *, allow_missing: bool) -> tuple[Wrong, list[Any]]:
    """Look at the first recipients: nobody there, or variables missing. Return what is wrong, and how far it looked.

    The rest is looked at before anything is sent.
    """
    words = await asyncio.to_thread(compile_content, campaign)
    seen, missing, looked = 0, Missing(), EVERYBODY
    async for part in parts(ctx, campaign):
        for member in part.members:
            seen += 1
            try:
                missing.note(member.address, member.vars, words.missing(member.vars, member.address))
            except Permanent as error:
                missing.failed(member.address, error.detail)
        if seen >= CHECKED_AT_ONCE or len(missing.lines) >= SAMPLE:
            looked = [part.phase, part.cursor]
            break
    if not seen:
        return {"lists": f"nobody in the audience has an address on {campaign['channel']}"}, looked
    if allow_missing or not missing.lines:
        return {}, looked
    return {"variables": [*missing.advice(), *missing.lines[:SAMPLE]]}, looked
