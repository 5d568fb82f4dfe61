"""The practice WhatsApp's API as a client sees it."""

import base64
from typing import Any
from urllib.parse import quote

from practice.apiclient import ApiClient, Json


class WhatsAppPractice(ApiClient):
    """`async with WhatsAppPractice(url) as whatsapp:`; phones as `+628…`; raises httpx.HTTPStatusError when refused."""

    # --- who is there

    async def put_number(self, phone: str, **about: Any) -> None:
        """Add or replace a number: name, exists, acts (off, receive, read, reply, stop), says, lid_chats, passkey."""
        await self.put_numbers([{"phone": phone, **about}])

    async def put_numbers(self, people: list[Json]) -> int:
        """Add or replace many; return how many."""
        answer = await self._call("PUT", "/numbers", json=people)
        return int(answer["numbers"])

    async def put_range(self, first: str, count: int, **about: Any) -> int:
        """Add consecutive numbers, all alike; return how many."""
        answer = await self._call("POST", "/numbers/range", json={"first": first, "count": count, **about})
        return int(answer["numbers"])

    async def number(self, phone: str) -> Json:
        """Return what is known of a number, with its wid, lid and chat_id."""
        return await self._call("GET", f"/numbers/{quote(phone)}")  # type: ignore[no-any-return]

    async def put_group(self, group_id: str, members: list[str], name: str = "") -> Json:
        """Add or replace a group, `120363…@g.us`."""
        body = {"id": group_id, "name": name, "members": members}
        return await self._call("PUT", "/groups", json=body)  # type: ignore[no-any-return]

    async def devices(self) -> list[Json]:
        """Return phone, open and pending (events not dealt with) of each linked page."""
        return await self._call("GET", "/devices")  # type: ignore[no-any-return]

    # --- the practice phone

    async def scan(self, qr_text: str, phone: str) -> bool:
        """Let a phone scan a page's QR text; False where a passkey screen comes instead."""
        return bool((await self._call("POST", "/scan", json={"qr_text": qr_text, "phone": phone}))["linked"])

    async def enter_pairing_code(self, code: str, phone: str) -> bool:
        """Give a phone the pairing code that a page shows for it; as `scan`."""
        return bool((await self._call("POST", "/pairing-code", json={"code": code, "phone": phone}))["linked"])

    async def log_out(self, phone: str, reason: str = "user_initiated") -> int:
        """End all logins of a phone for a reason of the platform; return how many there were."""
        return int((await self._call("POST", "/log-out", json={"phone": phone, "reason": reason}))["devices"])

    # --- people write

    async def write(
        self, from_phone: str, to: str, text: str = "", *, media: bytes | None = None, **about: Any
    ) -> Json:
        """Let a phone send text, or a file with mimetype, filename, type, to a number or group.

        What an account's own phone sends appears on its page as its own. `quotes` names a message id.
        """
        body = {"from": from_phone, "to": to, "text": text, **about}
        if media is not None:
            body["media_base64"] = base64.b64encode(media).decode()
        return await self._call("POST", "/write", json=body)  # type: ignore[no-any-return]

    async def edit(self, message_id: str, text: str) -> Json:
        """Change the words of a message."""
        return await self._call("POST", f"/messages/{message_id}/edit", json={"text": text})  # type: ignore[no-any-return]

    async def revoke(self, message_id: str) -> Json:
        """Delete a message for everyone."""
        return await self._call("POST", f"/messages/{message_id}/revoke")  # type: ignore[no-any-return]

    async def ack(self, message_id: str, ack: int) -> Json:
        """Say that a message was delivered (2), read (3) or played (4)."""
        return await self._call("POST", f"/messages/{message_id}/ack", json={"ack": ack})  # type: ignore[no-any-return]

    async def type(self, from_phone: str, to: str, state: str = "composing") -> None:
        """Let someone type, record, or pause."""
        await self._call("POST", "/typing", json={"from": from_phone, "to": to, "state": state})

    # --- what arrived

    async def messages(
        self, *, to: str | None = None, sender: str | None = None, message_id: str | None = None, limit: int = 100
    ) -> list[Json]:
        """Return the newest arrivals, newest first: id, sender, to, text, content, ack, from_phone."""
        asked = {"to": to, "sender": sender, "message_id": message_id, "limit": limit}
        given = {name: value for name, value in asked.items() if value is not None}
        return await self._call("GET", "/messages", params=given)  # type: ignore[no-any-return]

    async def media(self, filehash: str) -> bytes:
        """Return the file of a message's `content["filehash"]`."""
        return (await self.http.get(f"/media/{quote(filehash, safe='')}")).raise_for_status().content

    async def counts(self) -> Json:
        """Return received, distinct_message_ids, duplicates, recognised, by_sender, acts, acts_waiting."""
        return await self._call("GET", "/counts")  # type: ignore[no-any-return]

    async def counts_by_message_id(self, message_ids: list[str]) -> Json:
        """Return counts {id: n}; received (ids that arrived), copies, duplicates over the list."""
        return await self._call("POST", "/counts/by-message-id", json=message_ids)  # type: ignore[no-any-return]

    async def happenings(self) -> Json:
        """Return `typing` and `reading`: what pages showed and read, oldest first."""
        return await self._call("GET", "/happenings")  # type: ignore[no-any-return]

    # --- trouble

    async def trouble(self, account: str, **what: Any) -> Json:
        """Trouble an account's open pages at once: freeze_seconds, grow_megabytes, crash, screen; return pages, crashed."""
        return await self._call("POST", "/trouble", json={"account": account, **what})  # type: ignore[no-any-return]

    async def switch(self, *, deduplicate: bool) -> None:
        """Let the chat server recognise a repeated message id, or (as it starts) deliver it again."""
        await self._call("PUT", "/switches", json={"deduplicate": deduplicate})

    async def reset(self) -> None:
        """Forget messages and counts, lift faults and switches; numbers and logins stay."""
        await self._call("POST", "/reset")
