"""What people are told about a login."""

from datetime import datetime

from channel_telegram.model import CodeSent

EXPIRED = {
    "AUTH_RESTART",
    "PHONE_CODE_EXPIRED",
    "EMAIL_VERIFY_EXPIRED",
    "PHONE_CODE_HASH_EMPTY",
    "PHONE_HASH_EXPIRED",
    "CODE_HASH_INVALID",
}
WRONG = {
    "PHONE_CODE_INVALID": ("wrong_code", "Telegram does not accept this code"),
    "CODE_INVALID": ("wrong_code", "Telegram does not accept this code"),
    "PHONE_CODE_EMPTY": ("wrong_code", "the code is empty"),
    "PASSWORD_HASH_INVALID": ("wrong_password", "Telegram does not accept this password"),
    "SEND_CODE_UNAVAILABLE": ("resend_unavailable", "Telegram has no further way to send the code"),
}
HOPELESS = {
    "PHONE_NUMBER_BANNED": "Telegram has banned this phone number; recover@telegram.org may help its owner",
    "PHONE_NUMBER_INVALID": "Telegram does not take this for a phone number",
    "PHONE_NUMBER_UNOCCUPIED": "This number has no Telegram account: make one in the app first, then log in again",
    "PHONE_NUMBER_FLOOD": "Too many codes were asked for with this number: log in again in a day",
    "PHONE_PASSWORD_FLOOD": "Too many logins were tried with this number: log in again in a day",
    "PHONE_NUMBER_APP_SIGNUP_FORBIDDEN": "This number has no Telegram account: make one in the app first",
    "USER_DEACTIVATED": "The Telegram account was deleted",
    "USER_DEACTIVATED_BAN": "Telegram has banned this account",
    "EMAIL_SETUP_REQUIRED": "Telegram wants a login e-mail set up in the app before a code can be sent",
    "SENT_CODE_PAYMENT_REQUIRED": "Telegram wants to be paid for sending a code: log in on a phone first",
}
NO_API = (
    "The application's id is missing: get api_id and api_hash at https://my.telegram.org/apps and set "
    "CHANNEL_TELEGRAM_API_ID and CHANNEL_TELEGRAM_API_HASH"
)
_WRONG_API = (
    "Telegram does not know this application: CHANNEL_TELEGRAM_API_ID and CHANNEL_TELEGRAM_API_HASH must be those of "
    "https://my.telegram.org/apps"
)
OPERATORS = {
    "API_ID_INVALID": _WRONG_API,
    "API_ID_PUBLISHED_FLOOD": _WRONG_API,
    "CONNECTION_API_ID_INVALID": _WRONG_API,
}
_REASONS = {
    "PHONE_NUMBER_UNOCCUPIED": "not_registered",
    "PHONE_NUMBER_BANNED": "banned",
    "USER_DEACTIVATED_BAN": "banned",
}
_HOW = {
    "app": "to the Telegram app of this account, in the chat named Telegram",
    "sms": "by SMS",
    "sms_word": "by SMS, as a word",
    "sms_phrase": "by SMS, as a phrase",
    "call": "by a phone call",
    "flash_call": "by a call that hangs up: the code is in the caller's number",
    "missed_call": "by a call that hangs up: the code is the end of the caller's number",
    "fragment_sms": "to fragment.com",
    "email_code": "to the account's login e-mail",
    "firebase_sms": "by SMS",
}


def reason(name: str) -> str:
    """Return an error's reason in snake_case."""
    return _REASONS.get(name, name.lower())


def wait_until(until: datetime) -> str:
    """Say when a code can be asked for."""
    return f"Telegram asks to wait until {until:%Y-%m-%d %H:%M:%S} UTC"


def asked_without_answer(until: datetime) -> str:
    """Say when a code is asked for again that may have been sent already."""
    return f"A login code was asked for, and no answer came: it is asked for again after {until:%Y-%m-%d %H:%M:%S} UTC"


def code_hint(sent: CodeSent) -> str:
    """Say where the code went."""
    text = f"Telegram sent the code {_HOW.get(sent.how, sent.how)}"
    if sent.length:
        text += f" ({sent.length} characters)"
    if sent.next_how:
        text += f"; the next way is {_HOW.get(sent.next_how, sent.next_how)}"
    return text
