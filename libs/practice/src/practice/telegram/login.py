"""Signing in: codes, two-step passwords, moving to one's home DC, signing out.

Source: https://core.telegram.org/api/auth and https://core.telegram.org/api/srp.
"""

import os
import time
from typing import Any

from telethon.tl import functions as f
from telethon.tl import types as t

from practice.telegram import views
from practice.telegram.calls import Call, RpcError, handles
from practice.telegram.codes import LAST_STEP
from practice.telegram.people import Person, digits
from practice.telegram.srp import SrpCheck


@handles(f.auth.SendCodeRequest, public=True)
def send_code(call: Call, request: Any) -> Any:
    """Send a code, where the number may sign in here."""
    phone, logins = digits(request.phone_number), call.world.logins
    if not 5 <= len(phone) <= 15:
        raise RpcError("PHONE_NUMBER_INVALID")
    if (logins.api_id or logins.api_hash) and (request.api_id, request.api_hash) != (logins.api_id, logins.api_hash):
        raise RpcError("API_ID_INVALID")
    person = call.world.find(phone)
    if person is not None and person.banned:
        raise RpcError("PHONE_NUMBER_BANNED")
    if person is not None and person.home_dc != call.connection.dc:
        raise RpcError(f"PHONE_MIGRATE_{person.home_dc}")
    sent = logins.send(phone)
    if call.world.switches.code_in_chat and person is not None and person.logins:
        text = f"Login code: {logins.last[phone]}. Do not give this code to anyone, even if they say they are from Telegram!"
        call.world.letter_from(call.world.telegram_itself(), person, text)
    return sent


@handles(f.auth.ResendCodeRequest, public=True)
def resend_code(call: Call, request: Any) -> Any:
    """Send the code by the next way, after the waiting time of the last."""
    logins = call.world.logins
    sent = logins.sent(request.phone_number, request.phone_code_hash)
    if sent.step >= LAST_STEP:
        raise RpcError("SEND_CODE_UNAVAILABLE")
    left = logins.resend_seconds - (time.monotonic() - sent.at)
    if left > 0:
        raise RpcError(f"FLOOD_WAIT_{int(left) + 1}")
    return logins.send(sent.phone, sent.step + 1)


@handles(f.auth.CancelCodeRequest, public=True)
def cancel_code(call: Call, request: Any) -> Any:
    """End a code."""
    call.world.logins.expire(call.world.logins.sent(request.phone_number, request.phone_code_hash).phone)
    return True


@handles(f.auth.SignInRequest, public=True)
def sign_in(call: Call, request: Any) -> Any:
    """Take the code; a password may follow."""
    world, logins = call.world, call.world.logins
    logins.check(request.phone_number, request.phone_code_hash, request.phone_code)
    person = world.find(request.phone_number)
    if person is None:
        if world.switches.unoccupied_is_error:
            raise RpcError("PHONE_NUMBER_UNOCCUPIED")
        return t.auth.AuthorizationSignUpRequired()
    logins.expire(person.phone)
    if person.password:
        logins.halfway[call.key.id] = person
        raise RpcError("SESSION_PASSWORD_NEEDED")
    return _signed_in(call, person)


def _signed_in(call: Call, person: Person) -> Any:
    call.world.sign_in(call.key.id, person.id)
    return t.auth.Authorization(views.user(call.world, person, person))


@handles(f.account.GetPasswordRequest, public=True)
def get_password(call: Call, _request: Any) -> Any:
    """Say whether a password is set, with its hint, and begin the check of one."""
    logins = call.world.logins
    person = logins.halfway.get(call.key.id) or call.me
    kinds = {"new_algo": t.PasswordKdfAlgoUnknown(), "new_secure_algo": t.SecurePasswordKdfAlgoUnknown()}
    if not person.password:
        return t.account.Password(**kinds, secure_random=os.urandom(8))
    check = logins.checks[call.key.id] = SrpCheck.of(person.password)
    return t.account.Password(
        **kinds,
        secure_random=os.urandom(8),
        has_password=True,
        current_algo=check.algorithm,
        srp_B=check.public.to_bytes(256, "big"),
        srp_id=check.id,
        hint=person.hint or None,
    )


@handles(f.auth.CheckPasswordRequest, public=True)
def check_password(call: Call, request: Any) -> Any:
    """Take the password."""
    logins = call.world.logins
    person, check = logins.halfway.get(call.key.id), logins.checks.pop(call.key.id, None)
    if person is None:
        raise RpcError("AUTH_KEY_UNREGISTERED")
    if check is None or check.id != request.password.srp_id:
        raise RpcError("SRP_ID_INVALID")
    if not check.accepts(request.password.A, request.password.M1):
        raise RpcError("PASSWORD_HASH_INVALID")
    del logins.halfway[call.key.id]
    return _signed_in(call, person)


@handles(f.auth.LogOutRequest, elsewhere=True)
def log_out(call: Call, _request: Any) -> Any:
    """End this login."""
    call.connection.listen(wanted=False)
    call.world.sign_out(call.key.id)
    return t.auth.LoggedOut()


@handles(f.auth.ExportAuthorizationRequest)
def export_authorization(call: Call, request: Any) -> Any:
    """Give out what signs this person in at another DC, once."""
    if request.dc_id not in call.connection.platform.dcs or request.dc_id == call.connection.dc:
        raise RpcError("DC_ID_INVALID")
    ticket = os.urandom(32)
    call.world.logins.exported[ticket] = call.me.id
    return t.auth.ExportedAuthorization(call.me.id, ticket)


@handles(f.auth.ImportAuthorizationRequest, public=True)
def import_authorization(call: Call, request: Any) -> Any:
    """Sign in with what another DC gave out."""
    person = call.world.logins.exported.pop(request.bytes, None)
    if person is None or person != request.id:
        raise RpcError("AUTH_BYTES_INVALID")
    call.world.sign_in(call.key.id, person, imported=True)
    me = call.world.people[person]
    return t.auth.Authorization(views.user(call.world, me, me))
