"""What a person does with the practice phone: link a page, end its login."""

from practice.whatsapp.devices import Device, Offer
from practice.whatsapp.server import ChatServer
from practice.whatsapp.shapes import message_event


def scan(server: ChatServer, qr_text: str, phone: str) -> Device | None:
    """Scan a page's QR text; None where its passkey screen comes instead. Raises LookupError saying what is wrong."""
    server.directory.person(phone)
    return _link(server, server.devices.scanned(qr_text), phone)


def enter_pairing_code(server: ChatServer, code: str, phone: str) -> Device | None:
    """Enter the code a page shows; as `scan`."""
    server.directory.person(phone)
    return _link(server, server.devices.entered(code, phone), phone)


def _link(server: ChatServer, offer: Offer, phone: str) -> Device | None:
    person, line = server.directory.person(phone), server.devices.pages.get(offer.page)
    if line is None:
        raise LookupError("the page that showed it is closed")
    if person.passkey:
        line.put({"kind": "screen", "name": "passkey"})
        return None
    device = server.devices.link(phone)
    for message in server.archive.of(phone, server.groups_of(phone), server.settings.history):
        device.tell(message_event(server.directory, phone, message, is_new=False))
    login = {"token": device.token, "phone": phone, "lid": person.lid, "name": person.name}
    line.put({"kind": "paired", "login": login})
    return device


def log_out(server: ChatServer, phone: str, reason: str) -> int:
    """End all logins of a phone; return how many there were."""
    devices = server.devices.of(phone)
    for device in devices:
        server.devices.end(device, reason)
    return len(devices)
