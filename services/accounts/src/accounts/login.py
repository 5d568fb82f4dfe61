"""Requests to a channel's service: login answers to the holder of a session, tests of settings to any replica."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts import subjects
from contracts.base import Message
from contracts.channels import Channel
from contracts.requests import AnswerLogin, Reply, TestSettings
from pydantic import SecretStr, ValidationError
from servicekit.bus import Bus
from servicekit.errors import Conflict, Permanent, Unavailable

from accounts.domain import Account
from accounts.fields import check_credentials, check_settings
from accounts.usecases import Editing, merged
from accounts.vault import CredentialSealer
from accounts.views import TestResult

_NOBODY = {
    "no_responder": "Nobody answers for this account or channel now: its service is down, or it is just logging in."
}


@dataclass(frozen=True)
class Answer:
    """What a person answered."""

    challenge_id: str
    answer: SecretStr
    resend: bool


@dataclass(frozen=True)
class Trial:
    """Checked settings to try."""

    channel: Channel
    settings: dict[str, Any]
    credentials: dict[str, str]


async def answer(bus: Bus, vault: CredentialSealer, account: Account, given: Answer, timeout: float) -> None:
    """Hand the answer to the session's holder.

    Raises Permanent with the holder's reason (a stale challenge, a wrong code), Conflict where the account is not
    active, Unavailable where nobody holds its session or answers within *timeout* seconds.
    """
    if account.status != "active":
        raise Conflict("The account is not active.", reason="account_not_active")
    message = AnswerLogin(
        account_id=account.id,
        challenge_id=given.challenge_id,
        answer=vault.seal_answer(account.channel, account.id, given.answer.get_secret_value()),
        resend=given.resend,
    )
    reply = await _ask(bus, subjects.request(account.channel, account.id, "answer"), message, timeout)
    if not reply.ok:
        raise Permanent(reply.error or "refused", reply.detail)


def unsaved(
    channel: Channel, settings: Mapping[str, Any], credentials: Mapping[str, str | None], *, practice: bool
) -> Trial:
    """Return settings that were typed in. Raises Invalid field by field."""
    checked = check_settings(channel, settings, practice=practice)
    given = {name: value for name, value in credentials.items() if value is not None}
    return Trial(channel, checked, check_credentials(channel, given, checked))


def saved(
    to: Editing, account: Account, settings: Mapping[str, Any] | None, credentials: Mapping[str, str | None]
) -> Trial:
    """Return an account's settings with an edit over them. Raises Conflict where it is being deleted, Invalid."""
    account.require_editable()
    to.rules.require_enabled(account.channel)
    wanted = merged(to.vault, account, credentials)
    return unsaved(
        account.channel, account.settings if settings is None else settings, wanted, practice=to.rules.practice
    )


async def test(bus: Bus, vault: CredentialSealer, trial: Trial, timeout: float) -> TestResult:
    """Let any replica of the channel's service try the settings. Raises Unavailable where none answers."""
    sealed = vault.seal_test(trial.channel, trial.credentials)
    message = TestSettings(channel=trial.channel, settings=trial.settings, credentials=sealed)
    reply = await _ask(bus, subjects.test(trial.channel), message, timeout)
    return TestResult(ok=reply.ok, error=reply.error, detail=reply.detail, steps=reply.steps)


async def _ask(bus: Bus, subject: str, message: Message, timeout: float) -> Reply:
    try:
        return Reply.model_validate_json(await bus.request(subject, message, timeout))
    except Unavailable as error:
        raise Unavailable(_NOBODY.get(error.reason, error.detail), reason=error.reason) from error
    except ValidationError as error:
        raise Unavailable("The channel's service answered something that is not a reply.") from error
