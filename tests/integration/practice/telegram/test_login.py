"""Signing in, as Telethon does it."""

import pytest
from practice.telegram.testing import connected, signed_in
from practice.testing import eventually
from telethon import errors, events, functions, types

from .conftest import ANNA, SHOP, listening


async def test_a_code_signs_in_and_the_login_lasts(platform, telegram, client):
    sent = await client.send_code_request(SHOP)
    assert (sent.timeout, type(sent.next_type).__name__) == (0, "CodeTypeSms")
    me = await client.sign_in(SHOP, await telegram.last_code(SHOP))
    assert (me.first_name, me.username, "+" + me.phone) == ("Toko Halo", "tokohalo", SHOP)
    await client.disconnect()
    async with connected(platform.ports, client.session) as again:
        assert (await again.get_me()).id == me.id
    assert (await telegram.user(SHOP))["logins"] == 1


async def test_wrong_expired_and_cancelled_codes_are_told_apart(telegram, client):
    await client.send_code_request(SHOP)
    with pytest.raises(errors.PhoneCodeInvalidError):
        await client.sign_in(SHOP, "x")
    code = await telegram.last_code(SHOP)
    await telegram.expire_codes(SHOP)
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client.sign_in(SHOP, code)
    sent = await client(functions.auth.SendCodeRequest(SHOP, 1, "practice", types.CodeSettings()))
    assert await client(functions.auth.CancelCodeRequest(SHOP, sent.phone_code_hash))
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client(functions.auth.SignInRequest(SHOP, sent.phone_code_hash, "12345"))


async def test_five_wrong_codes_end_it(telegram, client):
    sent = await client.send_code_request(SHOP)
    right = await telegram.last_code(SHOP)
    for _ in range(5):
        with pytest.raises(errors.PhoneCodeInvalidError):
            await client(functions.auth.SignInRequest(SHOP, sent.phone_code_hash, "nope"))
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client(functions.auth.SignInRequest(SHOP, sent.phone_code_hash, right))


async def test_resending_goes_from_app_to_sms_to_call(telegram, client):
    sent = await client.send_code_request(SHOP)
    first = await telegram.last_code(SHOP)
    ways = [sent]
    for _ in range(2):
        ways.append(await client(functions.auth.ResendCodeRequest(SHOP, ways[-1].phone_code_hash)))
    assert [type(one.type).__name__ for one in ways] == ["SentCodeTypeApp", "SentCodeTypeSms", "SentCodeTypeCall"]
    assert ways[-1].next_type is None
    with pytest.raises(errors.SendCodeUnavailableError):
        await client(functions.auth.ResendCodeRequest(SHOP, ways[-1].phone_code_hash))
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client(functions.auth.SignInRequest(SHOP, sent.phone_code_hash, first))
    await client(functions.auth.SignInRequest(SHOP, ways[-1].phone_code_hash, await telegram.last_code(SHOP)))


async def test_resending_too_early_must_wait(platform, telegram, client):
    platform.world.logins.resend_seconds = 60
    sent = await client.send_code_request(SHOP)
    assert sent.timeout == 60
    with pytest.raises(errors.FloodWaitError, match="60"):
        await client(functions.auth.ResendCodeRequest(SHOP, sent.phone_code_hash))


async def test_a_two_step_password_with_its_hint(telegram, client):
    await telegram.put_user(SHOP, password="s3cret", hint="the usual")
    await client.send_code_request(SHOP)
    with pytest.raises(errors.SessionPasswordNeededError):
        await client.sign_in(SHOP, await telegram.last_code(SHOP))
    assert (await client(functions.account.GetPasswordRequest())).hint == "the usual"
    with pytest.raises(errors.PasswordHashInvalidError):
        await client.sign_in(password="wrong")
    me = await client.sign_in(password="s3cret")
    assert "+" + me.phone == SHOP


async def test_numbers_that_cannot_sign_in(telegram, client):
    await telegram.put_user(ANNA, banned=True)
    with pytest.raises(errors.PhoneNumberBannedError):
        await client.send_code_request(ANNA)
    with pytest.raises(errors.PhoneNumberInvalidError):
        await client.send_code_request("+12")
    nobody = "+628119999999"
    sent = await client(functions.auth.SendCodeRequest(nobody, 1, "practice", types.CodeSettings()))
    signed = await client(functions.auth.SignInRequest(nobody, sent.phone_code_hash, await telegram.last_code(nobody)))
    assert isinstance(signed, types.auth.AuthorizationSignUpRequired)
    await telegram.switch(unoccupied_is_error=True)
    with pytest.raises(errors.PhoneNumberUnoccupiedError):
        await client(functions.auth.SignInRequest(nobody, sent.phone_code_hash, await telegram.last_code(nobody)))


async def test_a_wrong_application_is_refused(platform, telegram, client):
    platform.world.logins.api_id, platform.world.logins.api_hash = 7, "abc"
    with pytest.raises(errors.ApiIdInvalidError):
        await client.send_code_request(SHOP)


async def test_a_number_moves_the_client_to_its_home_dc(platform, telegram):
    await telegram.put_user(SHOP, home_dc=4)
    # Telethon counts the move as a try
    async with connected(platform.ports, request_retries=1) as client:
        await client.send_code_request(SHOP)
        await client.sign_in(SHOP, await telegram.last_code(SHOP))
        assert (client.session.dc_id, client.session.port) == (4, platform.ports.other_port)


async def test_signing_out_ends_the_login(telegram, shop):
    assert await shop.log_out()
    assert (await telegram.user(SHOP))["logins"] == 0


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("AUTH_KEY_UNREGISTERED", errors.AuthKeyUnregisteredError),
        ("SESSION_REVOKED", errors.SessionRevokedError),
        ("USER_DEACTIVATED_BAN", errors.UserDeactivatedBanError),
    ],
)
async def test_ended_from_the_phone_the_next_call_says_why(telegram, shop, name, error):
    assert await telegram.log_out(SHOP, name) == 1
    with pytest.raises(error):
        await shop(functions.users.GetUsersRequest([types.InputUserSelf()]))


async def test_one_login_of_several_can_end(platform, telegram, shop):
    async with signed_in(platform.ports, telegram, SHOP) as newer:
        assert (await telegram.user(SHOP))["logins"] == 2
        assert await telegram.log_out(SHOP, newest_only=True) == 1
        assert await shop.get_me()
        with pytest.raises(errors.AuthKeyUnregisteredError):
            await newer(functions.users.GetUsersRequest([types.InputUserSelf()]))


async def test_a_key_that_is_forgotten_is_unknown_to_the_transport(platform, telegram, shop):
    await telegram.log_out(SHOP, forget_keys=True)
    with pytest.raises(errors.AuthKeyNotFound):
        await shop.disconnected


async def test_a_code_lives_only_so_long(platform, telegram, client):
    platform.world.logins.lifetime_seconds = 0
    sent = await client.send_code_request(SHOP)
    with pytest.raises(errors.PhoneCodeExpiredError):
        await client(functions.auth.SignInRequest(SHOP, sent.phone_code_hash, await telegram.last_code(SHOP)))


async def test_a_key_is_known_at_its_own_dc_alone(platform, telegram, shop):
    session = shop.session.clone()
    session.set_dc(4, "127.0.0.1", platform.ports.other_port)
    session.auth_key = shop.session.auth_key
    with pytest.raises(errors.AuthKeyNotFound):
        async with connected(platform.ports, session):
            pass


async def test_a_code_may_also_come_as_a_message_to_those_signed_in(telegram, shop, client):
    heard = listening(shop, events.NewMessage(incoming=True), lambda event: (event.sender_id, event.raw_text))
    await telegram.switch(code_in_chat=True)
    await client.send_code_request(SHOP)
    sender, text = (await eventually(lambda: _whatever(heard)))[0]
    assert sender == 777000
    assert await telegram.last_code(SHOP) in text
    assert (await telegram.calls())["auth.sendCode"] == 1


async def _whatever(heard):
    return heard
