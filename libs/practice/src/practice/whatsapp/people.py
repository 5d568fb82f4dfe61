"""Who has WhatsApp here: people with a phone number and a lid, and groups."""

import hashlib
import re
from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_REPLY = "Halo, terima kasih infonya!"


class Acts(str, Enum):
    """What a person does with a message that comes in."""

    OFF = "off"  # the phone is off: sent, never delivered
    RECEIVE = "receive"  # delivered
    READ = "read"  # delivered and read
    REPLY = "reply"  # delivered, read, answered
    STOP = "stop"  # delivered, read, answered with STOP


class Person(BaseModel):
    """One phone number. `lid_chats`: chats with it go by its lid, as most do on the real platform."""

    model_config = ConfigDict(extra="forbid")

    phone: str = Field(pattern=r"^\+\d{6,15}$")
    name: str = ""
    exists: bool = True
    acts: Acts = Acts.RECEIVE
    says: str = Field(default=DEFAULT_REPLY, description="the text of its reply")
    lid_chats: bool = True
    passkey: bool = Field(default=False, description="linking a device ends at the passkey screen")

    @property
    def wid(self) -> str:
        """The id by phone number, `628…@c.us`."""
        return f"{self.phone[1:]}@c.us"

    @property
    def lid(self) -> str:
        """The id that hides the number; the same number has the same one for ever."""
        return f"{int(hashlib.sha256(self.phone.encode()).hexdigest()[:11], 16) + 10**13}@lid"

    @property
    def chat_id(self) -> str:
        """The id of the chat with this person."""
        return self.lid if self.lid_chats else self.wid

    def shown(self) -> dict[str, Any]:
        """Return the person as JSON, its ids included."""
        return {**self.model_dump(mode="json"), "wid": self.wid, "lid": self.lid, "chat_id": self.chat_id}


class Group(BaseModel):
    """A group: `120363…@g.us`, with the phone numbers of its members."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^\d{6,20}@g\.us$")
    name: str = ""
    members: list[str] = []

    @property
    def chat_id(self) -> str:
        """The id of its chat, for everyone."""
        return self.id


class Directory:
    """Everyone, by number, by `…@c.us`, by `…@lid`, by group id."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self._by_lid: dict[str, str] = {}

    def put(self, person: Person) -> Person:
        """Add a person, or replace what is known of the number."""
        self.people[person.phone] = person
        self._by_lid[person.lid] = person.phone
        return person

    def find(self, given: str) -> Person | Group | None:
        """Return whom a number or id means, whether or not it has WhatsApp."""
        if given.endswith("@g.us"):
            return self.groups.get(given)
        if given.endswith("@lid"):
            given = self._by_lid.get(given, "")
        return self.people.get("+" + re.sub(r"\D", "", given.removesuffix("@c.us")))

    def person(self, phone: str) -> Person:
        """Return the person with this number. Raises KeyError."""
        found = self.find(phone)
        if not isinstance(found, Person):
            raise KeyError(phone)
        return found

    def members(self, to: Person | Group) -> list[Person]:
        """Return who receives what is written to a person or group."""
        return [to] if isinstance(to, Person) else [self.people[phone] for phone in to.members if phone in self.people]
