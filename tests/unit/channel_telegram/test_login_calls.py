"""How a code is answered, by where it went."""

import pytest
from channel_telegram.client import login
from channel_telegram.client.errors import TelegramError
from channel_telegram.login_words import code_hint
from telethon import types


class Asked:
    """A connection that writes down what it is asked."""

    api = (1, "hash")

    def __init__(self, answer) -> None:
        self.answer, self.requests = answer, []

    async def call(self, request, **_):
        self.requests.append(request)
        return self.answer


def sent(kind, **more):
    return types.auth.SentCode(kind, "hash", **more)


@pytest.mark.parametrize(
    ("kind", "how", "said"),
    [
        (types.auth.SentCodeTypeApp(5), "app", "the Telegram app"),
        (types.auth.SentCodeTypeSms(5), "sms", "by SMS (5 characters)"),
        (types.auth.SentCodeTypeCall(5), "call", "phone call"),
        (types.auth.SentCodeTypeMissedCall("+62", 4), "missed_call", "caller's number"),
        (types.auth.SentCodeTypeFragmentSms("https://fragment.com", 5), "fragment_sms", "fragment.com"),
        (types.auth.SentCodeTypeEmailCode("a***@b.c", 6), "email_code", "login e-mail"),
    ],
)
async def test_a_person_hears_where_the_code_went(kind, how, said):
    answer = sent(kind, next_type=types.auth.CodeTypeSms(), timeout=60)
    code = await login.send_code(Asked(answer), "+62")
    assert (code.how, code.next_how, code.resend_after_seconds) == (how, "sms", 60)
    assert said in code_hint(code)
    assert "the next way is by SMS" in code_hint(code)


async def test_without_a_login_email_telegram_wants_one_first():
    with pytest.raises(TelegramError, match="EMAIL_SETUP_REQUIRED"):
        await login.send_code(Asked(sent(types.auth.SentCodeTypeSetUpEmailRequired())), "+62")


async def test_a_code_by_email_is_answered_as_such():
    asked = Asked(types.auth.Authorization(types.User(7, first_name="Toko", phone="62811")))
    assert (await login.sign_in(asked, "+62", "hash", "123", by_email=True)).phone == "+62811"
    await login.sign_in(asked, "+62", "hash", "123")
    by_email, by_phone = asked.requests
    assert (by_email.phone_code, by_email.email_verification.code) == (None, "123")
    assert (by_phone.phone_code, by_phone.email_verification) == ("123", None)
