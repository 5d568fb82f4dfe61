"""The counter where pages hand in what they send, and where things go wrong on request."""

import asyncio
from time import time
from typing import Any

from practice.whatsapp.crash import crash_browser_page
from practice.whatsapp.devices import Device
from practice.whatsapp.faults import Fault, FaultName
from practice.whatsapp.people import Group, Person
from practice.whatsapp.server import ChatServer

Json = dict[str, Any]
_NO_ANSWER: Json = {"ack": None}


def _refused(result: str) -> Json:
    return {"ack": -1, "result": result, "t": int(time())}


async def take(server: ChatServer, device: Device, sent: Json) -> Json:
    """Take a message from a page; answers ack 1, or -1 with a result, or None: the page hears nothing."""
    to = server.directory.find(sent.pop("chat"))
    if to is None or (isinstance(to, Person) and not to.exists):
        return _refused("ERROR_UNKNOWN")
    faults, who = server.faults, (device.phone, server.address(to))
    if fault := faults.hit(FaultName.REFUSE_SEND, *who):
        return _refused(fault.result)
    if fault := faults.hit(FaultName.SLOW, *who):
        await asyncio.sleep(fault.value)
    if faults.hit(FaultName.DROP, *who):
        return _NO_ANSWER
    trouble = faults.hit(FaultName.FREEZE_ON_SEND, *who) or faults.hit(FaultName.CRASH_ON_SEND, *who)
    if trouble is None or trouble.at == "after":
        server.accept(device, to, sent.pop("id"), sent)
    if trouble:
        await suffer(device, trouble)
    if trouble or faults.hit(FaultName.LOSE_ACK, *who):
        return _NO_ANSWER
    return {"ack": 1, "result": "OK", "t": int(time())}


async def suffer(device: Device, trouble: Fault) -> None:
    """Freeze the device's page for so many seconds, or crash it where none are given."""
    if device.line is None:
        return
    if trouble.value:
        device.line.put({"kind": "trouble", "freezeSeconds": trouble.value})
    else:
        await crash_browser_page(device.line.connection)


def taken(server: ChatServer, device: Device, message_ids: list[str]) -> list[str]:
    """Return which of these messages of the device's phone have been taken."""
    known = server.archive.by_id
    return [one for one in message_ids if one in known and known[one][0].sender == device.phone]


def found(server: ChatServer, device: Device, given: str) -> Json | None:
    """Return the ids of a number that has WhatsApp, or of a group."""
    who = server.directory.find(given)
    if isinstance(who, Group):
        return {"wid": who.id, "chat": who.id, "lid": None, "name": who.name}
    if who is None or not who.exists or server.faults.hit(FaultName.NOT_FOUND, device.phone, who.phone):
        return None
    return {"wid": who.wid, "chat": who.chat_id, "lid": who.lid, "name": who.name}


def read_chat(server: ChatServer, device: Device, chat: str) -> None:
    """Note that a page has read a chat, and tell the writer."""
    who = server.directory.find(chat)
    if isinstance(who, Person):
        server.reading.append({"account": device.phone, "chat": who.phone, "at": time()})
        for message in server.archive.find(to=device.phone, sender=who.phone):
            server.acknowledge(message, 3)


def typed(server: ChatServer, device: Device, chat: str, state: str) -> None:
    """Note that a page shows typing, and tell the other side."""
    who = server.directory.find(chat)
    if isinstance(who, Person):
        server.typing.append({"account": device.phone, "chat": who.phone, "state": state, "at": time()})
        me = server.directory.person(device.phone)
        for other in server.devices.of(who.phone):
            other.tell({"kind": "typing", "chat": me.chat_id, "state": state})
