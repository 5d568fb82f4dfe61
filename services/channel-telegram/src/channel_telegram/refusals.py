"""What a refusal of Telegram means: for the recipient, for the account, or for nobody (https://core.telegram.org/api/errors).

One table; what it does not name is judged by the error's number.
"""

from datetime import timedelta

from channelkit.protocol import NeedsLogin, OutcomeUnknown, Restricted
from servicekit.clock import Clock, SystemClock
from servicekit.errors import Permanent, Retry

from channel_telegram.client.errors import ConnectionLost, TelegramError
from channel_telegram.settings import Settings

RETRY_SECONDS = 5.0
_UNSAID_SECONDS = 60
"""Where Telegram says wait, and not for how long."""
PERMANENT = {
    "USER_PRIVACY_RESTRICTED": "privacy_restricted",
    "PRIVACY_PREMIUM_REQUIRED": "privacy_restricted",
    "USER_IS_BLOCKED": "blocked",
    "USER_BLOCKED": "blocked",
    "YOU_BLOCKED_USER": "blocked_by_us",
    "INPUT_USER_DEACTIVATED": "deactivated",
    "USER_IS_BOT": "is_a_bot",
    "PEER_ID_INVALID": "unknown_peer",
    "USER_ID_INVALID": "unknown_peer",
    "USERNAME_NOT_OCCUPIED": "not_on_telegram",
    "USERNAME_INVALID": "not_on_telegram",
    "PHONE_NOT_OCCUPIED": "not_on_telegram",
    "CHAT_WRITE_FORBIDDEN": "may_not_write",
    "ALLOW_PAYMENT_REQUIRED": "wants_payment",
    "VOICE_MESSAGES_FORBIDDEN": "voice_not_wanted",
    "CHAT_SEND_VOICES_FORBIDDEN": "voice_not_wanted",
    "MESSAGE_EMPTY": "empty_message",
    "MESSAGE_TOO_LONG": "too_long",
    "MEDIA_CAPTION_TOO_LONG": "too_long",
    "MEDIA_EMPTY": "file_refused",
    "MEDIA_INVALID": "file_refused",
    "PHOTO_INVALID_DIMENSIONS": "file_refused",
    "PHOTO_EXT_INVALID": "file_refused",
    "PHOTO_SAVE_FILE_INVALID": "file_refused",
    "IMAGE_PROCESS_FAILED": "file_refused",
    "FILE_PARTS_INVALID": "file_refused",
}
NOBODYS = {
    "API_ID_INVALID", "CONNECTION_API_ID_INVALID", "CONNECTION_LAYER_INVALID", "CONNECTION_NOT_INITED", "DC_ID_INVALID",
    "FILE_PART_MISSING", "FILE_PART_INVALID", "FILE_REFERENCE", "FILE_REFERENCE_EMPTY", "FILE_REFERENCE_EXPIRED",
    "FILE_REFERENCE_INVALID", "INPUT_FETCH_ERROR", "INPUT_FETCH_FAIL", "INPUT_LAYER_INVALID", "INPUT_METHOD_INVALID",
    "MD5_CHECKSUM_INVALID", "MSG_WAIT_FAILED", "RANDOM_ID_INVALID",
}  # fmt: skip
"""What the connection, the upload or the application is refused for: no recipient's fault, so it is tried again."""
SPAM = {"PEER_FLOOD", "USER_BANNED_IN_CHANNEL", "USER_RESTRICTED"}
"""The account was reported for writing to strangers."""
LOGIN = {
    "AUTH_KEY_DUPLICATED": "Telegram ended this login because it was used from two places at once: log in again",
    "SESSION_REVOKED": "The login was ended from another device",
    "AUTH_KEY_UNREGISTERED": "The login was ended from another device",
    "AUTH_KEY_INVALID": "Telegram no longer knows this login",
    "AUTH_KEY_NOT_FOUND": "Telegram no longer knows this login",
    "SESSION_EXPIRED": "The login has expired",
    "USER_DEACTIVATED": "The Telegram account was deleted",
    "USER_DEACTIVATED_BAN": "Telegram has banned this account",
}
PEER_FLOOD = (
    "Telegram limits this account: it wrote to too many people who do not know it. Until then it can write only to people "
    "who have its number. @SpamBot in the app says for how long; slow down, or let people write first"
)
FROZEN = "Telegram has frozen this account: it can send nothing until its owner's appeal, in the app, is granted"
CONTACTS_LIMIT = "Telegram takes no more new contacts from this account for now"


def login_words(error: TelegramError) -> str:
    """Return what a person must know of a login that is no longer good; nothing where it still is."""
    if error.code == 401 or error.name in LOGIN:
        return f"{LOGIN.get(error.name, 'The login is no longer valid')} ({error.name})"
    return ""


class Refusals:
    """Judges errors for one account."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()

    def judge(self, error: Exception, *, claimed: bool) -> Exception:
        """Return what a sender raises for *error*; *claimed*: the content may be out."""
        if isinstance(error, TelegramError):
            return self._refusal(error, claimed=claimed)
        if isinstance(error, ConnectionLost):
            return self._lost(error, claimed=claimed)
        return error

    def _refusal(self, error: TelegramError, *, claimed: bool) -> Exception:  # noqa: PLR0911  # one line per kind
        if words := login_words(error):
            return NeedsLogin(words)
        if error.name in SPAM or error.name.startswith("FROZEN_"):
            words = PEER_FLOOD if error.name in SPAM else FROZEN
            return self._restricted(self._settings.peer_flood_wait_seconds, words)
        if error.name == "CONTACTS_LIMIT":
            return self._restricted(self._settings.contacts_wait_seconds, CONTACTS_LIMIT)
        if error.name in NOBODYS:
            return Retry(_UNSAID_SECONDS, error.words)
        if error.name.startswith("SLOWMODE_WAIT"):
            return Retry(max(1, error.number), error.words)
        if error.code == 420:
            seconds = error.number or _UNSAID_SECONDS
            return self._restricted(seconds, f"Telegram asks this account to wait {seconds} s ({error.name})")
        if error.name in PERMANENT:
            return Permanent(PERMANENT[error.name], error.words)
        if error.code in {400, 403, 404, 406}:
            return Permanent(error.name.lower(), error.words)
        return OutcomeUnknown(error.words) if claimed else Retry(RETRY_SECONDS, error.words)

    def _lost(self, error: ConnectionLost, *, claimed: bool) -> Exception:
        if claimed:
            return OutcomeUnknown(f"no answer: {error}")
        retry = Retry(RETRY_SECONDS, f"no connection to Telegram: {error}")
        retry.__cause__ = error  # the kit sees by it that nothing is the recipient's fault
        return retry

    def _restricted(self, seconds: float, words: str) -> Restricted:
        return Restricted(self._clock.utcnow() + timedelta(seconds=seconds), words)
