"""A contact: who a person is on each platform. Rules only; no store, no HTTP."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Self

from contracts.channels import Channel
from pydantic import BaseModel, ConfigDict, Field, model_validator
from servicekit.errors import Invalid

from campaigns.contacts import addresses
from campaigns.contacts.addresses import AddressError

MAX_NAME, MAX_ATTRIBUTE, MAX_ATTRIBUTES, MAX_TAG = 500, 10_000, 500, 100
_NOT_WORD = re.compile(r"[^\w]+", re.UNICODE)


class ContactInput(BaseModel):
    """What a person or program says of a contact. None leaves a field as it is, an empty text clears it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str | None = Field(default=None, max_length=MAX_NAME)
    email: str | None = Field(default=None, max_length=320)
    phone: str | None = Field(default=None, max_length=60)
    handles: dict[Channel, str] | None = None
    attributes: dict[str, str] | None = Field(default=None, max_length=MAX_ATTRIBUTES)
    tags: list[str] | None = Field(default=None, max_length=200)
    lists: list[str] | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _no_extractor_handles(self) -> Self:
        wrong = [c for c in self.handles or {} if c not in addresses.HANDLE_CHANNELS]
        if wrong:
            raise ValueError(f"handles of {', '.join(wrong)} do not exist")
        return self


def variable_name(header: str) -> str:
    """Return a column's or attribute's name as templates know it: `No. Pesanan` is `no_pesanan`."""
    text = unicodedata.normalize("NFKC", header).casefold()
    name = _NOT_WORD.sub("_", text).strip("_")[:60]
    return f"_{name}" if name[:1].isdigit() else name


def tag(text: str) -> str:
    """Return a tag in its normal form: one line, lower case. Raises ValueError for an empty or long one."""
    clean = addresses.one_line(text).casefold()
    if not clean or len(clean) > MAX_TAG:
        raise ValueError(f"a tag has 1 to {MAX_TAG} characters")
    return clean


def normalised(given: ContactInput, region: str) -> dict[str, Any]:
    """Return the fields of *given* that are set, normalised. Raises Invalid naming every field that cannot be."""
    wrong: dict[str, str] = {}
    fields: dict[str, Any] = {}

    def take(name: str, text: str | None, kind: str) -> None:
        if text is None:
            return
        try:
            fields[name] = addresses.normalise(kind, text, region) if text else ""
        except AddressError as error:
            wrong[name] = str(error)

    if given.name is not None:
        fields["name"] = addresses.one_line(given.name)
    take("email", given.email, Channel.EMAIL)
    take("phone", given.phone, Channel.WHATSAPP)
    for channel, text in (given.handles or {}).items():
        take(f"handles.{channel}", text, channel)
    _attributes(given.attributes, fields, wrong)
    try:
        if given.tags is not None:
            fields["tags"] = sorted({tag(text) for text in given.tags})
    except ValueError as error:
        wrong["tags"] = str(error)
    if given.lists is not None:
        fields["lists"] = sorted(set(given.lists))
    if wrong:
        raise Invalid(wrong)
    return fields


def _attributes(given: Mapping[str, str] | None, fields: dict[str, Any], wrong: dict[str, str]) -> None:
    for key, value in (given or {}).items():
        name = variable_name(key)
        if not name or len(value) > MAX_ATTRIBUTE:
            wrong[f"attributes.{key}"] = f"needs a name of letters and a value of at most {MAX_ATTRIBUTE} characters"
        else:
            fields[f"attributes.{name}"] = value.replace("\x00", "")


def merged(contact: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contact with *fields* (as `normalised` gives them) laid over it; an empty text removes."""
    result: dict[str, Any] = {
        **contact,
        "handles": dict(contact.get("handles") or {}),
        "attributes": dict(contact.get("attributes") or {}),
    }
    for name, value in fields.items():
        group, _, key = name.partition(".")
        if not key:
            result[group] = value
        elif value == "":
            result[group].pop(key, None)
        else:
            result[group][key] = value
    return {**result, **derived(result)}


def derived(contact: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is computed from a contact: its unique `addresses` and the beginnings it is `search`ed by."""
    found = {f"{kind}:{contact[kind]}" for kind in ("email", "phone") if contact.get(kind)}
    found |= {addresses.keys(channel, text)[0] for channel, text in (contact.get("handles") or {}).items()}
    return {"addresses": sorted(found), "search": search_keys(contact.get("name", ""), found)}


def search_keys(name: str, keys: set[str]) -> list[str]:
    """Return the lower-case texts whose beginnings find a contact: name, its words, its addresses."""
    text = name.casefold()
    words = text.split()[:8]
    plain = {key.partition(":")[2] for key in keys}
    local = {"0" + address[3:] for address in plain if address.startswith("+62")}
    return sorted({text, *words, *plain, *local} - {""})


def address_for(contact: Mapping[str, Any], channel: str) -> str | None:
    """Return where a contact is reached on *channel*, None where it is not."""
    return next(iter(addresses_on(contact, channel)), None)


def addresses_on(contact: Mapping[str, Any], channel: str) -> list[str]:
    """Return every address of a contact on *channel*, the one to write to first.

    A bare platform id comes last: only the account that it wrote to knows it.
    """
    if channel == Channel.EMAIL:
        return [str(contact["email"])] if contact.get("email") else []
    handle = (contact.get("handles") or {}).get(channel)
    phone = contact.get("phone") if channel in addresses.PHONE_CHANNELS else None
    found = [str(address) for address in (handle, phone) if address]
    return sorted(found, key=addresses.is_bare_id)


def variables(contact: Mapping[str, Any]) -> dict[str, str]:
    """Return what templates may name of a contact: its attributes, then name, first_name, email and phone."""
    name = contact.get("name") or ""
    return {
        **(contact.get("attributes") or {}),
        "name": name,
        "first_name": name.split(" ")[0],
        "email": contact.get("email") or "",
        "phone": contact.get("phone") or "",
    }
