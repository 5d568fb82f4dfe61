"""The chat server: takes messages from pages and phones, delivers them, and passes on what becomes of them."""

import secrets
from typing import Any

from practice.whatsapp.acting import Acting
from practice.whatsapp.devices import Device, Devices
from practice.whatsapp.faults import Faults
from practice.whatsapp.messages import Archive, Message
from practice.whatsapp.people import Directory, Group, Person
from practice.whatsapp.settings import WhatsAppSettings
from practice.whatsapp.shapes import key_of, message_event, receipt_event

Json = dict[str, Any]


def phone_id() -> str:
    """Return a message id as phones make them."""
    return "3A" + secrets.token_hex(9).upper()


class ChatServer:
    """People, their devices and their messages. Methods raise KeyError for people and messages that are unknown."""

    def __init__(self, settings: WhatsAppSettings) -> None:
        self.settings = settings
        self.directory = Directory()
        self.devices = Devices()
        self.archive = Archive(settings.keep_media_bytes)
        self.acting = Acting(self)
        self.reset()

    def reset(self) -> None:
        """Forget messages and lift faults and switches; people and logins stay."""
        self.archive.clear()
        self.acting.done.clear()
        self.faults = Faults()
        self.deduplicate = False
        self.typing: list[Json] = []
        self.reading: list[Json] = []

    def accept(self, device: Device, to: Person | Group, message_id: str, content: Json) -> None:
        """Take a message from a page: a repeated id is delivered again unless `deduplicate` is on."""
        if self.deduplicate and message_id in self.archive.by_id:
            self.archive.recognised += 1
            return
        message = self.archive.add(message_id, device.phone, self.address(to), content)
        self.deliver(message, to, but=device)

    def write(self, sender: str, to: str, content: Json) -> Message:
        """Let a person's phone send: incoming for `to`, and one's own on the sender's linked pages."""
        self.directory.person(sender)
        who = self.directory.find(to)
        if who is None:
            raise KeyError(to)
        message = self.archive.add(phone_id(), sender, self.address(who), content, from_phone=True)
        self.deliver(message, who)
        return message

    def deliver(self, message: Message, to: Person | Group, but: Device | None = None) -> None:
        """Bring a message to the pages of both sides, and let people without a page act on it."""
        for device in self.devices.of(message.sender):
            if device is not but:
                device.tell(message_event(self.directory, device.phone, message))
        for person in self.directory.members(to):
            if person.phone != message.sender:
                self._hand_over(message, person, in_group=isinstance(to, Group))

    def _hand_over(self, message: Message, person: Person, *, in_group: bool) -> None:
        devices = self.devices.of(person.phone)
        for device in devices:
            device.tell(message_event(self.directory, device.phone, message))
        if in_group:
            return
        if devices:
            self.acknowledge(message, 2)
        else:
            self.acting.received(person, message)

    def acknowledge(self, message: Message, ack: int) -> None:
        """Tell the sender's pages that a message was delivered (2), read (3) or played (4)."""
        if ack <= message.ack:
            return
        message.ack = ack
        for device in self.devices.of(message.sender):
            device.tell(receipt_event(self.directory, device.phone, message))

    def edit(self, message_id: str, text: str) -> None:
        """Change the words of a message on both sides."""
        message = self.archive.first(message_id)
        message.earlier_texts.append(message.text)
        message.content[message.text_field] = text
        self._tell_all(message, {"kind": "edited", "text": text, "editId": phone_id()})

    def revoke(self, message_id: str) -> None:
        """Delete a message for everyone."""
        message = self.archive.first(message_id)
        message.revoked = True
        self._tell_all(message, {"kind": "revoked", "revokeId": phone_id()})

    def groups_of(self, phone: str) -> list[str]:
        """Return the ids of the groups a phone is in."""
        return [one.id for one in self.directory.groups.values() if phone in one.members]

    @staticmethod
    def address(who: Person | Group) -> str:
        """Return the phone number, or the group's id."""
        return who.phone if isinstance(who, Person) else who.id

    def _tell_all(self, message: Message, event: Json) -> None:
        to = self.directory.find(message.to)
        members = self.directory.members(to) if to else []
        for phone in {message.sender, *(person.phone for person in members)}:
            for device in self.devices.of(phone):
                device.tell({**event, "key": key_of(self.directory, phone, message)})
