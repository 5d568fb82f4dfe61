"""Settings of an e-mail account: presets fill what a person would have to look up."""

import pytest
from contracts.email import PRESETS, EmailSettings
from pydantic import ValidationError


def parsed(**given):
    return EmailSettings.model_validate(given)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "custom"])
def test_a_preset_needs_only_an_address(name):
    found = parsed(preset=name, smtp={"from_address": "toko@example.com", "host": "", "port": None})
    assert found.smtp.host == PRESETS[name].smtp["host"]
    assert found.imap is not None
    assert found.imap.host == PRESETS[name].imap["host"]
    assert (found.smtp.login, found.imap_login) == ("toko@example.com", "toko@example.com")


def test_gmail_keeps_its_own_copies_of_what_was_sent():
    found = parsed(preset="gmail", smtp={"from_address": "toko@gmail.com"}, imap={"import_days": 7})
    assert not found.imap.append_sent
    assert found.imap.import_days == 7


def test_no_replies_where_imap_is_null():
    assert parsed(preset="gmail", smtp={"from_address": "toko@gmail.com"}, imap=None).imap is None


def test_what_is_given_wins_over_the_preset():
    found = parsed(preset="zoho", smtp={"from_address": "a@b.c", "host": "smtp.zoho.eu", "username": "u"})
    assert (found.smtp.host, found.smtp.port, found.imap_login) == ("smtp.zoho.eu", 465, "u")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"preset": "nope", "smtp": {"host": "x", "from_address": "a@b.c"}}, "preset"),
        ({"smtp": {"host": "x y", "from_address": "a@b.c"}}, "host"),
        ({"smtp": {"host": "x", "port": 70000, "from_address": "a@b.c"}}, "port"),
        ({"smtp": {"host": "x", "from_address": "a@b.c\r\nBcc: d@e.f"}}, "from_address"),
        ({"smtp": {"host": "x", "from_address": "a@b.c", "from_name": "a\r\nb"}}, "from_name"),
        ({"smtp": {"host": "x", "from_address": "a@b.c", "username": "a\nb"}}, "username"),
        ({"smtp": {"host": "x", "from_address": "a@b.c"}, "imap": {"port": 993}}, "host"),
        ({}, "smtp"),
    ],
)
def test_what_is_wrong_is_named(given, field):
    with pytest.raises(ValidationError) as refused:
        parsed(**given)
    assert field in {one["loc"][-1] for one in refused.value.errors()}
