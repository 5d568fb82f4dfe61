"""Codes on their way to a number, and logins half done; a restart forgets them."""

import os
import random
import time
from dataclasses import dataclass
from typing import Any

from telethon.tl import types as t

from practice.telegram.calls import RpcError
from practice.telegram.people import Person, digits
from practice.telegram.srp import SrpCheck

WRONG_CODES = 5
_NEXT = (t.auth.CodeTypeSms, t.auth.CodeTypeCall)
_SENT = (t.auth.SentCodeTypeApp, t.auth.SentCodeTypeSms, t.auth.SentCodeTypeCall)
LAST_STEP = len(_NEXT)


@dataclass(slots=True)
class SentCode:
    """A code on its way to a number: `step` counts the ways tried (app, SMS, call)."""

    phone: str
    code: str
    at: float
    step: int = 0
    wrong: int = 0


class Logins:
    """Codes that are out, and keys between code and password; a restart forgets them."""

    def __init__(
        self, resend_seconds: int = 60, lifetime_seconds: float = 300, api_id: int = 0, api_hash: str = ""
    ) -> None:
        self.resend_seconds, self.lifetime_seconds = resend_seconds, lifetime_seconds
        self.api_id, self.api_hash = api_id, api_hash
        self.codes: dict[str, SentCode] = {}
        self.last: dict[str, str] = {}
        self.halfway: dict[int, Person] = {}
        self.checks: dict[int, SrpCheck] = {}
        self.exported: dict[bytes, int] = {}

    def send(self, phone: str, step: int = 0) -> Any:
        """Send a code; former ones to this number no longer work."""
        self.expire(phone)
        code_hash, code = os.urandom(9).hex(), f"{random.randrange(10**5):05}"
        self.codes[code_hash] = SentCode(phone, code, time.monotonic(), step)
        self.last[phone] = code
        following = _NEXT[step]() if step < LAST_STEP else None
        return t.auth.SentCode(_SENT[step](5), code_hash, following, self.resend_seconds if following else None)

    def expire(self, phone: str) -> None:
        """End all codes of a number."""
        self.codes = {key: sent for key, sent in self.codes.items() if sent.phone != phone}
        self.last.pop(phone, None)

    def sent(self, phone: str, code_hash: str) -> SentCode:
        """Return the code that is out. Raises RpcError where there is none, or no longer."""
        found = self.codes.get(code_hash)
        if found is None or found.phone != digits(phone) or time.monotonic() - found.at > self.lifetime_seconds:
            raise RpcError("PHONE_CODE_EXPIRED")
        return found

    def check(self, phone: str, code_hash: str, code: str) -> None:
        """Take a code. Raises RpcError for a wrong one, and ends it after five."""
        sent = self.sent(phone, code_hash)
        if not code:
            raise RpcError("PHONE_CODE_EMPTY")
        if code != sent.code:
            sent.wrong += 1
            if sent.wrong >= WRONG_CODES:
                self.expire(sent.phone)
            raise RpcError("PHONE_CODE_INVALID")
