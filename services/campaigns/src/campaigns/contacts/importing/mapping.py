"""Which column means what: guessed from the header in English and Indonesian, or given by a person."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from contracts.channels import Channel
from servicekit.errors import Invalid

from campaigns.contacts import addresses, domain
from campaigns.contacts.addresses import AddressError
from campaigns.contacts.importing.table import Row

ATTRIBUTE = "attribute:"
_SPLIT_TAGS = re.compile(r"[;|,]")
_KNOWN: dict[str, tuple[str, ...]] = {
    "name": (
        "name", "nama", "full_name", "fullname", "nama_lengkap", "nama_pelanggan", "nama_kontak", "nama_penerima",
        "nama_customer", "customer_name", "contact_name", "pelanggan", "penerima", "customer", "contact", "display_name",
    ),
    "first_name": ("first_name", "firstname", "nama_depan", "given_name"),
    "last_name": ("last_name", "lastname", "nama_belakang", "surname", "family_name"),
    "email": (
        "email", "e_mail", "mail", "surel", "email_address", "e_mail_address", "alamat_email", "alamat_surel",
        "email_1", "e_mail_1_value", "alamat_e_mail",
    ),
    "phone": (
        "phone", "phone_number", "telepon", "telpon", "telp", "tlp", "no_telepon", "no_telp", "no_tlp", "nomor_telepon",
        "nomor_telp", "hp", "no_hp", "nohp", "nomor_hp", "no_handphone", "handphone", "ponsel", "no_ponsel", "mobile",
        "mobile_phone", "mobile_number", "cell", "msisdn", "tel", "whatsapp", "wa", "no_wa", "nomor_wa",
        "no_whatsapp", "nomor_whatsapp", "kontak", "nomor", "phone_1_value",
    ),
    "telegram": ("telegram", "username_telegram", "telegram_username"),
    "instagram": ("instagram", "ig", "username_instagram", "instagram_username", "akun_instagram"),
    "shopee": ("shopee", "username_shopee"),
    "tokopedia": ("tokopedia", "username_tokopedia"),
    "bukalapak": ("bukalapak", "username_bukalapak"),
    "tags": ("tag", "tags", "label", "labels"),
}  # fmt: skip
FIELDS = (*_KNOWN, ATTRIBUTE)
ADDRESS_FIELDS = ("email", "phone", "telegram", "instagram", "shopee", "tokopedia", "bukalapak")
_BY_HEADER = {word: name for name, words in _KNOWN.items() for word in words}


@dataclass(frozen=True)
class Problem:
    """Why a line was rejected, or what was changed on it."""

    line: int
    field: str
    reason: str
    kind: str = "rejected"
    value: str = ""


@dataclass
class Parsed:
    """One line as a contact's fields (as `domain.normalised` gives them), with what was found on the way."""

    line: int
    fields: dict[str, object] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def rejected(self) -> bool:
        """Return whether the line cannot be taken."""
        return any(p.kind == "rejected" for p in self.problems)


def automatic(columns: Iterable[str]) -> dict[str, str]:
    """Return column → field by the header's words; what is not known becomes an attribute; each field is taken once."""
    mapping: dict[str, str] = {}
    for column in columns:
        name = domain.variable_name(column)
        known = _BY_HEADER.get(name.strip("_"))
        taken = known is None or known in mapping.values()
        mapping[column] = f"{ATTRIBUTE}{name or 'column'}" if taken else str(known)
    return mapping


def checked(mapping: Mapping[str, str] | None, columns: list[str]) -> dict[str, str]:
    """Return the mapping to use (automatic where none is given). Raises Invalid naming each column that does not fit."""
    result = {c: t for c, t in (mapping or automatic(columns)).items() if t}
    wrong: dict[str, str] = {}
    for column, target in result.items():
        if column not in columns:
            wrong[f"mapping.{column}"] = "is not a column of the file"
        elif target not in _KNOWN and not (target.startswith(ATTRIBUTE) and domain.variable_name(target[10:])):
            wrong[f"mapping.{column}"] = f"{target} is not one of {', '.join(_KNOWN)}, attribute:<name>"
        elif target != "tags" and list(result.values()).count(target) > 1 and not target.startswith(ATTRIBUTE):
            wrong[f"mapping.{column}"] = f"two columns are mapped to {target}"
    if not wrong and not set(result.values()) & set(ADDRESS_FIELDS):
        wrong["mapping"] = f"no column holds an address; columns: {', '.join(columns)[:300]}"
    if wrong:
        raise Invalid(wrong)
    return result


def parse(row: Row, mapping: Mapping[str, str], region: str, key: str | None = None) -> Parsed:
    """Return one line as a contact. Addresses are never repaired; a name's line breaks are, and that is said."""
    parsed = Parsed(row.line)
    if row.problem:
        parsed.problems.append(Problem(row.line, "", row.problem))
        return parsed
    for column, target in mapping.items():
        _take(parsed, target, row.cells.get(column, "").strip(" \t\u00a0"), region)
    _name(parsed)
    _keys(parsed, key)
    return parsed


def _take(parsed: Parsed, target: str, text: str, region: str) -> None:
    if not text.strip():
        return
    if target.startswith(ATTRIBUTE):
        _attribute(parsed, domain.variable_name(target[len(ATTRIBUTE) :]), text)
    elif target == "tags":
        _tags(parsed, text)
    elif target in {"name", "first_name", "last_name"}:
        _text(parsed, target, text)
    else:
        _address(parsed, target, text, region)


def _attribute(parsed: Parsed, name: str, text: str) -> None:
    if len(text) > domain.MAX_ATTRIBUTE:
        reason = f"is longer than {domain.MAX_ATTRIBUTE} characters"
        parsed.problems.append(Problem(parsed.line, name, reason, value=text[:100]))
        return
    if "\x00" in text:
        parsed.problems.append(Problem(parsed.line, name, "NUL characters were removed", "cleaned"))
    parsed.fields[f"attributes.{name}"] = text.replace("\x00", "")


def _tags(parsed: Parsed, text: str) -> None:
    try:
        given = {domain.tag(part) for part in _SPLIT_TAGS.split(text) if part.strip()}
    except ValueError as error:
        parsed.problems.append(Problem(parsed.line, "tags", str(error), value=text[:100]))
        return
    have = parsed.fields.get("tags")
    parsed.fields["tags"] = sorted(given | set(have if isinstance(have, list) else []))


def _text(parsed: Parsed, target: str, text: str) -> None:
    clean = addresses.one_line(text)
    if addresses.has_control(text):
        reason = "line breaks or control characters were replaced by blanks"
        parsed.problems.append(Problem(parsed.line, target, reason, "cleaned", repr(text)[:200]))
    if len(clean) > domain.MAX_NAME:
        reason = f"is longer than {domain.MAX_NAME} characters"
        parsed.problems.append(Problem(parsed.line, target, reason, value=clean[:100]))
    elif clean:
        parsed.fields[target] = clean


def _address(parsed: Parsed, target: str, text: str, region: str) -> None:
    name = target if target in {"email", "phone"} else f"handles.{target}"
    kind = Channel.WHATSAPP if target == "phone" else target
    try:
        parsed.fields[name] = addresses.normalise(kind, text, region)
    except AddressError as error:
        parsed.problems.append(Problem(parsed.line, target, str(error), value=repr(text)[:200]))


def _name(parsed: Parsed) -> None:
    first, last = (str(parsed.fields.pop(part, "")) for part in ("first_name", "last_name"))
    if "name" not in parsed.fields and (first or last):
        parsed.fields["name"] = f"{first} {last}".strip()


def _keys(parsed: Parsed, key: str | None) -> None:
    """Note the contact keys of the line; one without any address, or without the wanted key, is rejected."""
    handles: dict[str, object] = {}
    for name, value in parsed.fields.items():
        if name.startswith("handles."):
            handles[name[len("handles.") :]] = value
    contact = {**parsed.fields, "handles": handles}
    parsed.keys = domain.derived(contact)["addresses"]
    if parsed.rejected:
        return
    if not parsed.keys:
        parsed.problems.append(Problem(parsed.line, "", "holds no address"))
    elif key and not any(k.startswith(f"{key}:") for k in parsed.keys):
        parsed.problems.append(Problem(parsed.line, key, "is empty, and contacts are matched by it"))
