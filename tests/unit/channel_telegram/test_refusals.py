"""What Telegram's errors mean."""

from datetime import UTC, datetime, timedelta

import pytest
from channel_telegram.client.errors import ConnectionLost, TelegramError, translated
from channel_telegram.refusals import PERMANENT, Refusals, login_words
from channel_telegram.settings import Settings
from channelkit.protocol import NeedsLogin, OutcomeUnknown, Restricted
from servicekit.errors import Permanent, Retry
from telethon import errors, functions
from telethon.tl.types import RpcError

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Still:
    def utcnow(self):
        return NOW


@pytest.fixture
def refusals():
    return Refusals(Settings(peer_flood_wait_seconds=7200, contacts_wait_seconds=60), Still())


def from_server(code, name):
    """Return our error for what the server said, by way of the library's."""
    error = errors.rpc_message_to_error(RpcError(code, name), functions.help.GetConfigRequest())
    return translated(error)


@pytest.mark.parametrize(
    ("code", "name", "number"),
    [
        ("PEER_FLOOD", 400, 0), ("RANDOM_ID_DUPLICATE", 500, 0), ("AUTH_KEY_DUPLICATED", 406, 0),
        ("SESSION_PASSWORD_NEEDED", 401, 0), ("USER_PRIVACY_RESTRICTED", 403, 0), ("FLOOD_WAIT_42", 420, 42),
        ("SLOWMODE_WAIT_7", 420, 7), ("PHONE_MIGRATE_4", 303, 4), ("ALLOW_PAYMENT_REQUIRED_25", 403, 25),
        ("SOMETHING_NEW", 400, 0), ("No workers running", -500, 0), ("FILE_REFERENCE_EXPIRED", 400, 0),
    ],
)  # fmt: skip
def test_the_servers_words_survive_the_library(code, name, number):
    error = from_server(name, code)
    assert (error.number, abs(name)) == (number, error.code)
    assert code.startswith(error.name)


@pytest.mark.parametrize(("name", "reason"), PERMANENT.items())
def test_what_concerns_the_recipient_fails_with_its_reason_and_the_servers_words(refusals, name, reason):
    judged = refusals.judge(TelegramError(name, 400), claimed=True)
    assert isinstance(judged, Permanent)
    assert (judged.reason, judged.detail) == (reason, f"400 {name}")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TelegramError("SOMETHING_NEW", 400), Permanent),
        (TelegramError("CHAT_RESTRICTED", 403), Permanent),
        (TelegramError("SLOWMODE_WAIT", 420, 9), Retry),
        (TelegramError("CONNECTION_NOT_INITED", 400), Retry),
        (TelegramError("MSG_WAIT_FAILED", 400), Retry),
        (TelegramError("API_ID_INVALID", 400), Retry),
        (from_server(400, "FILE_PART_7_MISSING"), Retry),
        (from_server(400, "FILE_REFERENCE_0_EXPIRED"), Retry),
        (from_server(400, "INPUT_METHOD_INVALID_123_456"), Retry),
        (TelegramError("USER_BANNED_IN_CHANNEL", 400), Restricted),
        (TelegramError("USER_RESTRICTED", 403), Restricted),
        (TelegramError("AUTH_KEY_UNREGISTERED", 401), NeedsLogin),
        (TelegramError("AUTH_KEY_DUPLICATED", 406), NeedsLogin),
        (TelegramError("USER_DEACTIVATED_BAN", 401), NeedsLogin),
        (TelegramError("INTERNAL", 500), OutcomeUnknown),
        (ConnectionLost("gone"), OutcomeUnknown),
    ],
)
def test_each_kind_once_claimed(refusals, error, kind):
    assert isinstance(refusals.judge(error, claimed=True), kind)


def test_before_the_claim_nothing_is_unknown(refusals):
    lost = refusals.judge(ConnectionLost("gone"), claimed=False)
    assert isinstance(lost, Retry)
    assert isinstance(lost.__cause__, OSError), "the kit sees that it is the connection's fault"
    assert isinstance(refusals.judge(TelegramError("INTERNAL", 500), claimed=False), Retry)


@pytest.mark.parametrize(
    ("error", "seconds", "said"),
    [
        (TelegramError("FLOOD_WAIT", 420, 42), 42, "42 s"),
        (TelegramError("PEER_FLOOD", 400), 7200, "@SpamBot"),
        (TelegramError("CONTACTS_LIMIT", 420), 60, "contacts"),
    ],
)
def test_the_accounts_own_trouble_restricts_it(refusals, error, seconds, said):
    judged = refusals.judge(error, claimed=False)
    assert isinstance(judged, Restricted)
    assert judged.until == NOW + timedelta(seconds=seconds)
    assert said in judged.reason


def test_an_end_of_the_login_says_why():
    assert "two places" in login_words(TelegramError("AUTH_KEY_DUPLICATED", 406))
    assert "banned" in login_words(TelegramError("USER_DEACTIVATED_BAN", 401))
    assert login_words(TelegramError("NEW_REASON", 401))
    assert not login_words(TelegramError("PEER_FLOOD", 400))
