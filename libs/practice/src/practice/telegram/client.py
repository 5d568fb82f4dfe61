"""The practice Telegram's API as a client sees it."""

import base64
from typing import Any
from urllib.parse import quote

from practice.apiclient import ApiClient, Json


class TelegramPractice(ApiClient):
    """`async with TelegramPractice(url) as telegram:`; methods raise httpx.HTTPStatusError when refused."""

    # -- people and logins

    async def put_user(self, phone: str, **fields: Any) -> Json:
        """Create a person or change it: name, username, home_dc, password, hint, banned, acts, reply_text."""
        return await self._call("PUT", f"/people/{quote(phone)}", json=fields)  # type: ignore[no-any-return]

    async def put_people(self, *phones: str, first: str = "", count: int = 0, **fields: Any) -> int:
        """Create many people in one call: these numbers, and `count` from the first; return how many there are."""
        body = {"phones": phones, "first": first, "count": count, "person": fields}
        return int((await self._call("POST", "/people", json=body))["people"])

    async def set_rules(self, *rules: Json) -> list[Json]:
        """Replace the rules: `{"pattern": "+62811*", "acts": "reply"}`; the first that covers a number counts."""
        return await self._call("PUT", "/rules", json=rules)  # type: ignore[no-any-return]

    async def user(self, phone: str) -> Json:
        """Return id, name, pts, logins and connections of a person."""
        return await self._call("GET", f"/people/{quote(phone)}")  # type: ignore[no-any-return]

    async def add_contact(self, owner: str, phone: str, *, known: bool = True) -> None:
        """Put a number into a person's contacts, or take it out."""
        await self._call("POST", "/contacts", params={"owner": owner, "phone": phone, "is_known": known})

    async def block(self, owner: str, phone: str, *, blocked: bool = True) -> None:
        """Let a person block a number, or no longer."""
        await self._call("POST", "/blocks", params={"owner": owner, "phone": phone, "blocked": blocked})

    async def last_code(self, phone: str) -> str:
        """Return the code that is out to a number. Raises httpx.HTTPStatusError (404) where there is none."""
        return str((await self._call("GET", f"/people/{quote(phone)}/code"))["code"])

    async def expire_codes(self, phone: str) -> None:
        """End the codes that are out to a number."""
        await self._call("POST", "/codes/expire", params={"phone": phone})

    async def make_login(self, phone: str) -> Json:
        """Return auth_key (hex), dc, host, port, user_id of a login made without handshake and code."""
        return await self._call("POST", "/logins", params={"phone": phone})  # type: ignore[no-any-return]

    async def log_out(
        self, phone: str, error: str = "AUTH_KEY_UNREGISTERED", *, forget_keys: bool = False, newest_only: bool = False
    ) -> int:
        """End a person's logins, as from its phone; their connections are cut and their calls answer this error."""
        body = {"phone": phone, "error": error, "forget_keys": forget_keys, "newest_only": newest_only}
        return int((await self._call("POST", "/logins/end", json=body))["logins"])

    # -- what people do

    async def write(self, sender: str, to: str, text: str = "", *, media: Json | None = None, **more: Any) -> Json:
        """Let a person write; media: kind, name, mime, data (bytes); more: html, reply_to. Returns `id` and `to_id`."""
        if media is not None:
            data = base64.b64encode(media["data"]).decode()
            media = {**{name: value for name, value in media.items() if name != "data"}, "data_base64": data}
        body = {"sender": sender, "to": to, "text": text, "media": media, **more}
        return await self._call("POST", "/messages", json=body)  # type: ignore[no-any-return]

    async def edit(self, owner: str, message_id: int, text: str) -> Json:
        """Let a person change its message; the id is that of its own box."""
        body = {"owner": owner, "ids": [message_id], "text": text}
        return await self._call("POST", "/messages/edit", json=body)  # type: ignore[no-any-return]

    async def delete(self, owner: str, *message_ids: int, revoke: bool = True) -> int:
        """Let a person delete messages of its box, for both sides unless told not to; return how many."""
        body = {"owner": owner, "ids": message_ids, "revoke": revoke}
        return int((await self._call("POST", "/messages/delete", json=body))["deleted"])

    async def read(self, reader: str, sender: str, up_to: int = 0) -> int:
        """Let a person read a chat up to a number of its box (0: all); return how far it went (0: nothing new)."""
        body = {"reader": reader, "sender": sender, "up_to": up_to}
        return int((await self._call("POST", "/messages/read", json=body))["up_to"])

    # -- what arrived

    async def messages(self, *, to: str | None = None, sender: str | None = None, limit: int = 100) -> list[Json]:
        """Return the newest messages to a number, or else of all that clients sent; newest first."""
        given = {"to": to, "sender": sender, "limit": limit}
        params = {name: value for name, value in given.items() if value is not None}
        return await self._call("GET", "/messages", params=params)  # type: ignore[no-any-return]

    async def counts(self) -> Json:
        """Return received (random_ids), copies, duplicates (accepted twice), refused_repeats, recipients, acts."""
        return await self._call("GET", "/counts")  # type: ignore[no-any-return]

    async def counts_by_phone(self) -> dict[str, int]:
        """Return how many messages of clients each number got."""
        return await self._call("GET", "/counts/by-phone")  # type: ignore[no-any-return]

    async def counts_by_random_id(self, random_ids: list[int]) -> Json:
        """Return counts {str(id): n}, received, copies, duplicates, refused_repeats over the list."""
        return await self._call("POST", "/counts/by-random-id", json=random_ids)  # type: ignore[no-any-return]

    async def random_ids(self) -> dict[int, int]:
        """Return how often each random_id was accepted."""
        answer = await self.http.get("/random-ids")
        pairs = (line.partition(" ") for line in answer.raise_for_status().text.split("\n") if line)
        return {int(random_id): int(count) for count, _, random_id in pairs}

    async def calls(self) -> dict[str, int]:
        """Return how often clients called each method (`messages.sendMessage`), whatever came of it."""
        return await self._call("GET", "/calls")  # type: ignore[no-any-return]

    async def file(self, file_id: str) -> bytes:
        """Return the bytes of a message's `media["id"]`."""
        return (await self.http.get(f"/files/{file_id}")).raise_for_status().content

    async def reset_counts(self) -> None:
        """Forget what arrived; messages and random_ids stay."""
        await self._call("POST", "/counts/reset")

    # -- switches

    async def switch(self, **switches: Any) -> Json:
        """Set deduplicate, one_connection_per_key, files_dc, unoccupied_is_error, code_in_chat; return all."""
        return await self._call("PATCH", "/switches", json=switches)  # type: ignore[no-any-return]

    async def expire_file_references(self) -> None:
        """Let references given out so far answer FILE_REFERENCE_EXPIRED."""
        await self._call("POST", "/files/expire-references")

    async def disconnect(self, phone: str | None = None) -> int:
        """Cut all connections of clients, or a person's; return how many there were."""
        params = {"phone": phone} if phone else {}
        return int((await self._call("POST", "/drop-connections", params=params))["connections"])
