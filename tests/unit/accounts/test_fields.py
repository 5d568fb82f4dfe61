"""What each channel asks of a new account (the product's table)."""

import pytest
from accounts.fields import CREDENTIALS, SETTINGS, check_credentials, check_settings
from contracts.channels import Channel
from contracts.email import EmailSettings
from servicekit.errors import Invalid

GMAIL = {"preset": "gmail", "smtp": {"from_address": "toko@gmail.com"}}


def fields(call, *args, **more) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        call(*args, **more)
    return caught.value.fields


def test_every_channel_has_rules():
    assert set(SETTINGS) == set(CREDENTIALS) == set(Channel)


@pytest.mark.parametrize("given", ["+628888888888", "+62 888-8888-888", " +628888888888"])
def test_telegrams_client_id_is_a_phone_number(given):
    assert check_settings(Channel.TELEGRAM, {"client_id": given}) == {
        "client_id": "+" + "".join(c for c in given if c.isdigit())
    }


@pytest.mark.parametrize(
    "given", ["0888888888", "+62", "", "toko", "+6288888888888888888", None, 62, ["+628888888888"]]
)
def test_anything_else_is_refused_by_field(given):
    assert list(fields(check_settings, Channel.TELEGRAM, {"client_id": given})) == ["settings.client_id"]


@pytest.mark.parametrize("channel", [Channel.GOOGLE_MAPS, Channel.OLX, Channel.INDONESIAYP])
def test_some_channels_ask_nothing(channel):
    assert check_settings(channel, {}) == {}
    assert check_credentials(channel, {}, {}) == {}
    assert fields(check_settings, channel, {"username": "x"}) == {"settings.username": ["unknown field"]}
    assert fields(check_credentials, channel, {"password": "x"}, {}) == {"credentials.password": ["unknown field"]}


def test_whatsapp_needs_nothing_and_a_phone_number_for_a_pairing_code():
    assert check_settings(Channel.WHATSAPP, {})["login"] == "qr"
    checked = check_settings(Channel.WHATSAPP, {"login": "pairing", "phone": "+62 811-0000-001"})
    assert checked["phone"] == "+628110000001"
    assert fields(check_settings, Channel.WHATSAPP, {"username": "x"}) == {"settings.username": ["unknown field"]}
    assert "needs the account's phone number" in str(fields(check_settings, Channel.WHATSAPP, {"login": "pairing"}))
    assert list(fields(check_settings, Channel.WHATSAPP, {"typing_seconds": 99})) == ["settings.typing_seconds"]


@pytest.mark.parametrize("channel", [Channel.BUKALAPAK, Channel.TOKOPEDIA, Channel.INSTAGRAM])
def test_marketplaces_need_name_and_password(channel):
    assert check_settings(channel, {"username": " toko "}) == {"username": "toko"}
    assert check_credentials(channel, {"password": " p "}, {}) == {"password": " p "}
    assert fields(check_settings, channel, {}) == {"settings.username": ["is required"]}
    assert fields(check_credentials, channel, {"password": ""}, {}) == {"credentials.password": ["is required"]}


def test_shopee_offers_them():
    assert check_settings(Channel.SHOPEE, {}) == {}
    assert check_credentials(Channel.SHOPEE, {}, {}) == {}
    assert check_settings(Channel.SHOPEE, {"username": "toko"}) == {"username": "toko"}


def test_a_preset_fills_the_servers_and_the_result_is_what_the_channel_reads():
    checked = check_settings(Channel.EMAIL, GMAIL)
    assert (checked["smtp"]["host"], checked["imap"]["host"]) == ("smtp.gmail.com", "imap.gmail.com")
    assert EmailSettings.model_validate(checked).model_dump(mode="json") == checked
    assert check_settings(Channel.EMAIL, checked) == checked


def test_no_replies_is_a_choice_that_stays():
    checked = check_settings(Channel.EMAIL, {**GMAIL, "imap": None})
    assert checked["imap"] is None
    assert check_settings(Channel.EMAIL, checked)["imap"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"smtp": {}}, "settings.smtp.from_address"),
        ({"smtp": {"from_address": "toko"}}, "settings.smtp.from_address"),
        ({"smtp": {"from_address": "a@b.co\r\nRCPT TO:<x@y.z>"}}, "settings.smtp.from_address"),
        ({"smtp": {"from_address": "a@b.co", "from_name": "Toko\r\nBcc: x@y.z"}}, "settings.smtp.from_name"),
        ({"smtp": {"from_address": "a@b.co", "port": 70000}}, "settings.smtp.port"),
        ({"smtp": {"from_address": "a@b.co", "password": "x"}}, "settings.smtp.password"),
        ({"imap": {"hots": "x"}}, "settings.imap.hots"),
        ({"preset": "hotmail"}, "settings.preset"),
        ({"ca_file": "/etc/passwd"}, "settings.ca_file"),
        ({"verify": False}, "settings.verify"),
        ({"smtp": "smtp.gmail.com"}, "settings.smtp"),
    ],
)
def test_email_settings_are_refused_by_field(change, field):
    assert field in fields(check_settings, Channel.EMAIL, {**GMAIL, **change})


def test_practice_may_trust_its_own_certificate():
    checked = check_settings(Channel.EMAIL, {**GMAIL, "ca_file": "/etc/kurir/ca.pem"}, practice=True)
    assert checked["ca_file"] == "/etc/kurir/ca.pem"


def test_email_needs_the_passwords_its_servers_ask_for():
    settings = check_settings(Channel.EMAIL, GMAIL)
    assert check_credentials(Channel.EMAIL, {"smtp_password": "x"}, settings) == {"smtp_password": "x"}
    assert fields(check_credentials, Channel.EMAIL, {}, settings) == {"credentials.smtp_password": ["is required"]}
    relay = check_settings(Channel.EMAIL, {"smtp": {"host": "relay", "auth": "none", "from_address": "a@b.co"}})
    assert check_credentials(Channel.EMAIL, {}, relay) == {}
    reading = check_settings(Channel.EMAIL, {**relay, "imap": {"host": "imap"}})
    assert fields(check_credentials, Channel.EMAIL, {}, reading) == {"credentials.imap_password": ["is required"]}


def test_a_refused_secret_is_not_repeated():
    with pytest.raises(Invalid) as caught:
        check_credentials(Channel.INSTAGRAM, {"password": "hunter2" * 1000}, {})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
