"""The practice mail system's API as a client sees it."""

import base64
from typing import Any, Literal
from urllib.parse import quote

from practice.apiclient import ApiClient, Json


class MailClient(ApiClient):
    """`async with MailClient(url) as mail:`; methods raise httpx.HTTPStatusError when refused."""

    async def messages(self, *, message_id: str | None = None, to: str | None = None, limit: int = 100) -> list[Json]:
        """Return the newest records of received messages, newest first."""
        given = {"message_id": message_id, "to": to, "limit": limit}
        return await self._call(  # type: ignore[no-any-return]
            "GET", "/messages", params={name: value for name, value in given.items() if value is not None}
        )

    async def message(self, n: int) -> Json:
        """Return one message with headers, text, html, attachments, and `raw` (bytes, None when not kept)."""
        found: Json = await self._call("GET", f"/messages/{n}")
        encoded = found.pop("raw_base64")
        found["raw"] = None if encoded is None else base64.b64decode(encoded)
        return found

    async def counts(self) -> Json:
        """Return received, distinct_message_ids, duplicates, violations, by_sender, reactions."""
        return await self._call("GET", "/counts")  # type: ignore[no-any-return]

    async def counts_by_message_id(self, message_ids: list[str]) -> Json:
        """Return counts {id: n}; received (ids that arrived), copies, duplicates over the list."""
        return await self._call("POST", "/counts/by-message-id", json=message_ids)  # type: ignore[no-any-return]

    async def message_ids(self) -> dict[str, int]:
        """Return how often each Message-ID arrived."""
        answer = await self.http.get("/message-ids")
        pairs = (line.partition(" ") for line in answer.raise_for_status().text.split("\n") if line)
        return {message_id: int(count) for count, _, message_id in pairs}

    async def violations(self) -> list[Json]:
        """Return the recorded breaches of the protocol."""
        return await self._call("GET", "/violations")  # type: ignore[no-any-return]

    async def deliveries(self) -> Json:
        """Return `opened`, and `connections` with peer, user, tls, messages, opened_at, closed_at."""
        return await self._call("GET", "/deliveries")  # type: ignore[no-any-return]

    async def reactions(self) -> list[Json]:
        """Return what recipients did: kind, recipient, to, error."""
        return await self._call("GET", "/reactions")  # type: ignore[no-any-return]

    async def unsubscribes(self) -> list[Json]:
        """Return the one-click posts: recipient, url, status, error."""
        return await self._call("GET", "/unsubscribes")  # type: ignore[no-any-return]

    async def put_account(self, address: str, password: str = "secret", token: str | None = None) -> Json:
        """Create an account, or replace its credentials."""
        body = {"password": password, "token": token}
        return await self._call("PUT", f"/accounts/{quote(address)}", json=body)  # type: ignore[no-any-return]

    async def accounts(self) -> list[str]:
        """Return the addresses of all accounts."""
        return await self._call("GET", "/accounts")  # type: ignore[no-any-return]

    async def inject(self, to: str, raw: bytes | None = None, **fields: Any) -> Json:
        """Deliver a message into an account's folder; fields as in `practice.mail.inject.Injection`."""
        if raw is not None:
            fields["raw_base64"] = base64.b64encode(raw).decode()
        if "sender" in fields:
            fields["from"] = fields.pop("sender")
        return await self._call("POST", "/inject", json={"to": to, **fields})  # type: ignore[no-any-return]

    async def mailbox(self, address: str, folder: str = "INBOX") -> list[Json]:
        """Return uid, size, headers, subject, text, html, attachments of each message in a folder."""
        return await self._call("GET", f"/mailboxes/{quote(address)}/{quote(folder)}")  # type: ignore[no-any-return]

    async def drop_connections(self, service: Literal["smtp", "imap", "all"] = "all") -> Json:
        """Cut connections; return how many there were."""
        return await self._call("POST", "/drop-connections", params={"service": service})  # type: ignore[no-any-return]

    async def new_uidvalidity(self, address: str, folder: str = "INBOX") -> int:
        """Give a folder a new UIDVALIDITY and new UIDs; return the UIDVALIDITY."""
        answer: Json = await self._call("POST", "/imap/uidvalidity", json={"address": address, "folder": folder})
        return int(answer["uidvalidity"])

    async def reset(self, *, mailboxes: bool = True) -> None:
        """Forget counts, faults and reactions, and empty the mailboxes unless told not to."""
        await self._call("POST", "/reset", params={"mailboxes": mailboxes})
