"""Addresses in their normal form, and what is refused."""

import pytest
from campaigns.contacts import addresses, domain
from campaigns.contacts.addresses import AddressError
from campaigns.contacts.domain import ContactInput
from hypothesis import given
from hypothesis import strategies as st
from servicekit.errors import Invalid


@pytest.mark.parametrize(
    ("channel", "text", "normal"),
    [
        ("email", " Budi@Example.COM ", "budi@example.com"),
        ("email", "josé@münchen.de", "josé@xn--mnchen-3ya.de"),
        ("email", "u@practice.test", "u@practice.test"),
        ("whatsapp", "0812-3456-7890", "+6281234567890"),
        ("whatsapp", "+62 888 8888 8888", "+6288888888888"),
        ("whatsapp", "6281234567890", "+6281234567890"),
        ("whatsapp", '="081234567890"', "+6281234567890"),
        ("whatsapp", "+1 650 253 0000", "+16502530000"),
        ("telegram", "08123456789", "+628123456789"),
        ("telegram", "@Siti_A", "siti_a"),
        ("telegram", "#123456789", "#123456789"),
        ("telegram", " #7 ", "#7"),
        ("whatsapp", "#123456789012345", "#123456789012345"),
        ("instagram", "@Toko.Kopi", "toko.kopi"),
    ],
)
def test_an_address_has_one_form(channel, text, normal):
    assert addresses.normalise(channel, text) == normal
    assert addresses.normalise(channel, normal) == normal


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("email", "a@x.com\r\nRCPT TO:<b@x.com>"), ("email", "a\x00@x.com"), ("email", "."), ("email", "a@localhost"),
        ("email", "a b@x.com"), ("email", ""), ("email", "a@x.com, b@x.com"), ("whatsapp", "6.28E+12"),
        ("whatsapp", "12"), ("whatsapp", "0812\n345678"), ("whatsapp", "halo"), ("telegram", "#"), ("telegram", "#12a"), ("telegram", "#007"), ("whatsapp", "#-1"), ("shopee", "a b"), ("shopee", "@"),
        ("instagram", "x" * 101), ("instagram", "a\nb"),
    ],
)  # fmt: skip
def test_what_nobody_can_be_reached_by_is_refused(channel, text):
    with pytest.raises(AddressError):
        addresses.normalise(channel, text)


@given(st.text(max_size=60))
def test_no_text_at_all_passes_with_a_control_character_in_it(text):
    for channel in ("email", "whatsapp", "telegram", "shopee"):
        try:
            normal = addresses.normalise(channel, text)
        except AddressError:
            continue
        assert not addresses.has_control(normal)
        assert normal == addresses.normalise(channel, normal)


@given(st.text(max_size=80))
def test_a_name_is_always_one_line(text):
    assert not addresses.has_control(addresses.one_line(text))
    assert len(addresses.one_line(text).splitlines()) <= 1


def test_an_edit_lays_its_fields_over_the_contact_and_an_empty_text_removes():
    old = {"name": "A", "email": "a@x.com", "handles": {"shopee": "a"}, "attributes": {"kota": "Solo"}, "tags": []}
    given_ = ContactInput(email="", handles={"shopee": "", "instagram": "@B"}, attributes={"Kota": "", "No. Meja": "7"})
    new = domain.merged(old, domain.normalised(given_, "ID"))
    assert (new["email"], new["handles"], new["attributes"]) == ("", {"instagram": "b"}, {"no_meja": "7"})
    assert new["addresses"] == ["instagram:b"]
    assert old["handles"] == {"shopee": "a"}


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(Invalid) as wrong:
        domain.normalised(ContactInput(email="x", phone="y", tags=[" "], handles={"shopee": "a b"}), "ID")
    assert set(wrong.value.fields) == {"email", "phone", "tags", "handles.shopee"}


@pytest.mark.parametrize(
    ("header", "name"),
    [("No. Pesanan", "no_pesanan"), ("Kota  Asal", "kota_asal"), ("1st", "_1st"), ("日付", "日付"), ("$.", "")],
)
def test_a_column_gets_a_name_templates_can_say(header, name):
    assert domain.variable_name(header) == name


def test_where_a_contact_is_reached():
    contact = {"email": "a@x.com", "phone": "+628123456789", "handles": {"telegram": "siti"}}
    reached = {c: domain.address_for(contact, c) for c in ("email", "whatsapp", "telegram", "instagram")}
    assert reached == {"email": "a@x.com", "whatsapp": "+628123456789", "telegram": "siti", "instagram": None}


def test_a_bare_id_is_written_to_only_where_there_is_nothing_better():
    """Another account does not know it."""
    contact = {"phone": "+628123456789", "handles": {"telegram": "#77"}}
    assert domain.addresses_on(contact, "telegram") == ["+628123456789", "#77"]
    assert domain.address_for(contact, "telegram") == "+628123456789"
    assert domain.address_for({"handles": {"telegram": "#77"}}, "telegram") == "#77"
    assert domain.addresses_on({"phone": "+628123456789", "handles": {"telegram": "siti"}}, "telegram") == [
        "siti", "+628123456789",
    ]  # fmt: skip
    assert domain.addresses_on(contact, "email") == []
