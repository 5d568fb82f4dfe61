"""Requests: whatever goes wrong is a reply, and nothing of a request is logged."""

import asyncio

import pytest
from channelkit.protocol import NeedsLogin
from channelkit.requests import _reply
from contracts.requests import CheckRecipient, Reply
from servicekit.errors import Permanent
from servicekit.secrets import SealError

ASK = CheckRecipient(account_id="acc", address="secret-code-4711").model_dump_json().encode()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Permanent("wrong_code", "no"), "wrong_code"),
        (SealError("other keys"), "seal"),
        (NeedsLogin("gone"), "needs_login"),
        (RuntimeError("secret-code-4711"), "internal"),
    ],
)
async def test_errors_become_reasons_without_the_secret(error, reason, capsys):
    async def fail(_):
        raise error

    reply = await _reply(ASK, CheckRecipient, fail, 1)
    assert (reply.ok, reply.error) == (False, reason)
    shown = capsys.readouterr()
    assert "4711" not in shown.out + shown.err + reply.model_dump_json()


async def test_a_platform_that_does_not_answer_is_a_timeout():
    async def hang(_):
        await asyncio.sleep(60)

    assert (await _reply(ASK, CheckRecipient, hang, 0.01)).error == "timeout"


async def test_what_is_no_request_is_malformed_and_a_good_one_is_answered():
    async def good(_):
        return Reply(ok=True)

    assert (await _reply(b"{", CheckRecipient, good, 1)).error == "malformed"
    assert (await _reply(ASK, CheckRecipient, good, 1)).ok
