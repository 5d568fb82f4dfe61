"""Messages and receipts as a linked page is told of them: with the ids of its own point of view."""

from typing import Any

from practice.whatsapp.messages import Message
from practice.whatsapp.people import Directory, Person

Json = dict[str, Any]


def chat_of(directory: Directory, phone: str, message: Message) -> str:
    """Return the id of the chat that a phone has this message in."""
    other = message.to if message.sender == phone or message.to.endswith("@g.us") else message.sender
    who = directory.find(other)
    return who.chat_id if who else other


def key_of(directory: Directory, phone: str, message: Message) -> Json:
    """Return the parts of a message's key."""
    chat = chat_of(directory, phone, message)
    key: Json = {"fromMe": message.sender == phone, "remote": chat, "id": message.id}
    if chat.endswith("@g.us"):
        key["participant"] = directory.person(message.sender).lid
    return key


def message_event(directory: Directory, phone: str, message: Message, *, is_new: bool = True) -> Json:
    """Return the event that shows a message on a phone's page."""
    sender, chat = directory.person(message.sender), directory.find(message.to)
    known = {"id": sender.chat_id, "phone": sender.wid, "lid": sender.lid, "name": sender.name}
    other = sender if isinstance(chat, Person) and message.sender != phone else chat
    shown = {
        **message.content,
        "type": "revoked" if message.revoked else message.content.get("type", "chat"),
        "key": key_of(directory, phone, message),
        "person": known if message.sender != phone else None,
        "chatName": other.name if other else "",
        "t": int(message.at),
        "ack": message.ack,
    }
    return {"kind": "message", "isNew": is_new, "message": shown}


def receipt_event(directory: Directory, phone: str, message: Message) -> Json:
    """Return the event that tells what became of a phone's message."""
    chat = chat_of(directory, phone, message)
    return {"kind": "receipt", "chat": chat, "ids": [message.id], "ack": message.ack}
