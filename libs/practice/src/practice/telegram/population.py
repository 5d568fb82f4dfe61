"""Who there is, and with which keys they are signed in. What changes it is recorded, so that it can come back."""

import hmac
from typing import Any

from practice.telegram.codes import Logins
from practice.telegram.journal import Journal, recorded
from practice.telegram.people import MAIN_DC, AuthKey, Behaviour, NumberRule, Person, digits
from practice.telegram.secrets import key_id_of

FIRST_PERSON = 777_001
#: Telegram's own account, as everybody's client knows it.
TELEGRAM, TELEGRAM_PHONE = 777_000, "42777"


class Population:
    """People by id, number and name, and auth keys. Methods marked `recorded` change it; all else only looks."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.journal = journal or Journal()
        self.people: dict[int, Person] = {}
        self.by_phone: dict[str, Person] = {}
        self.by_username: dict[str, Person] = {}
        self.rules: list[NumberRule] = []
        self.keys: dict[int, AuthKey] = {}
        self.logins = Logins()
        self.secret = b""

    @recorded
    def set_secret(self, secret: bytes) -> None:
        """Set what access hashes are made from."""
        self.secret = secret

    @recorded
    def put_person(self, phone: str, fields: dict[str, Any]) -> Person:
        """Create a person or change these fields of it."""
        phone = digits(phone)
        person = self.by_phone.get(phone)
        if person is None:
            number = TELEGRAM if phone == TELEGRAM_PHONE else FIRST_PERSON + len(self.people)
            person = Person(number, phone, name=f"Person {phone[-4:]}")
            self.people[person.id] = self.by_phone[phone] = person
        self.by_username.pop(person.username.lower(), None)
        for name, value in fields.items():
            setattr(person, name, value)
        if person.username:
            self.by_username[person.username.lower()] = person
        return person

    def telegram_itself(self) -> Person:
        """Return Telegram's own account, from which login codes come; the client's id of it is well known."""
        return self.by_phone.get(TELEGRAM_PHONE) or self.put_person(TELEGRAM_PHONE, {"name": "Telegram"})

    @recorded
    def set_rules(self, rules: list[NumberRule]) -> None:
        """Replace the rules on numbers."""
        self.rules = rules

    def rule_for(self, phone: str) -> NumberRule | None:
        """Return the first rule that covers a number."""
        return next((rule for rule in self.rules if rule.covers(phone)), None)

    def find(self, phone: str) -> Person | None:
        """Return who has a number; a rule may bring somebody into being."""
        phone = digits(phone)
        person = self.by_phone.get(phone)
        if person is None:
            rule = self.rule_for(phone)
            if rule is None or not rule.exists or not phone:
                return None
            person = self.put_person(phone, {})
        return None if self.behaviour(person) is Behaviour.ABSENT else person

    def behaviour(self, person: Person) -> Behaviour | None:
        """Return what a person does by itself: its own way, else its rule's."""
        if person.acts is not None or not self.rules:
            return person.acts
        rule = self.rule_for(person.phone)
        return rule.acts if rule else None

    def access_hash(self, viewer: Person, person: Person) -> int:
        """Return the hash under which a viewer may name a person; it differs from viewer to viewer."""
        digest = hmac.digest(self.secret, b"%d %d" % (viewer.id, person.id), "sha256")
        return int.from_bytes(digest[:8], "little", signed=True)

    @recorded
    def add_contact(self, owner: int, person: int, name: str = "") -> None:
        """Put somebody into a contact list; the owner sees it under this name, or its own where that is empty."""
        self.people[owner].contacts[person] = name

    @recorded
    def remove_contact(self, owner: int, person: int) -> None:
        """Take somebody out of a contact list."""
        self.people[owner].contacts.pop(person, None)

    @recorded
    def block(self, owner: int, person: int, blocked: bool) -> None:
        """Let a person block another, or take it back."""
        known = self.people[owner].blocked
        (known.add if blocked else known.discard)(person)

    @recorded
    def add_key(self, key: bytes, dc: int = MAIN_DC) -> AuthKey:
        """Remember an auth key made at a DC."""
        made = AuthKey(key_id_of(key), key, dc)
        self.keys[made.id] = made
        return made

    @recorded
    def sign_in(self, key: int, person: int, imported: bool = False) -> None:
        """Bind a key to a person."""
        held = self.keys[key]
        held.person, held.imported, held.ended = self.people[person], imported, ""
        held.person.logins[key] = held

    @recorded
    def sign_out(self, key: int, ended: str = "", forget: bool = False) -> None:
        """End a login; its calls answer `ended` from now on, or the key is no longer known at all."""
        held = self.keys[key]
        if held.person is not None:
            held.person.logins.pop(key, None)
        held.person, held.ended = None, ended
        if forget:
            del self.keys[key]
