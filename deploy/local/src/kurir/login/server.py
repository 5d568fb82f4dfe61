"""The accounts service as `kurir login` talks to it, from anywhere: one token, and patience with a bad line."""

import asyncio
import base64
import hashlib
import time
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from kurir.home import Trouble

Json = dict[str, Any]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LONGEST_PAUSE_SECONDS = 20.0
_AGAIN = {500, 502, 503, 504}


class Server:
    """Calls accounts; what is refused raises Trouble with the service's words, a cut line is waited out."""

    def __init__(self, url: str, token: str, *, patience_seconds: float = 600.0, plain_http: bool = False) -> None:
        """*patience_seconds*: how long the line may be away. Raises Trouble for an address the session must not go to."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Trouble(f"{url!r} is no address such as https://kurir.example/accounts")
        near = parts.hostname in _LOOPBACK
        if parts.scheme == "http" and not near and not plain_http:
            raise Trouble(f"{url} is not encrypted, and a session is a key to the account: use https (or --plain-http)")
        self._patience = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=not near
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, **options: Any) -> Json:
        """Return the JSON answer ({} where there is none); tries again while the line or the service is away."""
        answer = await self._answer(method, path, **options)
        if answer.is_error:
            raise Trouble(_words(answer))
        found: Json = answer.json() if answer.content else {}
        return found

    async def account(self, named: str) -> Json:
        """Return an account by its id, or by its name where only one has it. Raises Trouble."""
        answer = await self._answer("GET", f"/v1/accounts/{named}") if "/" not in named else None
        if answer is not None and answer.is_success:
            found: Json = answer.json()
            return found
        if answer is not None and answer.status_code != 404:
            raise Trouble(_words(answer))
        page = await self.call("GET", "/v1/accounts", params={"q": named, "limit": 100})
        fitting = [one for one in page["items"] if one["name"] == named]
        if len(fitting) != 1:
            some = ", ".join(one["id"] for one in fitting)
            raise Trouble(
                f"{len(fitting)} accounts are named {named!r}: name one by its id: {some}"
                if some
                else f"no account is named {named!r}"
            )
        return dict(fitting[0])

    async def channel(self, channel: str) -> Json:
        """Return what the service says of a channel."""
        return await self.call("GET", f"/v1/channels/{channel}")

    async def require_operator(self, account_id: str) -> None:
        """Raise Trouble where the token may not import sessions: before a person has logged in for nothing."""
        await self.call("GET", f"/v1/accounts/{account_id}/session-imports")

    async def begin(self, account_id: str, data: bytes) -> Json:
        """Announce a session, or go on with its import."""
        body = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return await self.call("POST", f"/v1/accounts/{account_id}/session-imports", json=body)

    async def put(self, begun: Json, number: int, data: bytes) -> None:
        """Upload one piece."""
        size = begun["chunk_bytes"]
        piece = data[number * size : (number + 1) * size]
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/octet-stream"}
        await self.call("PUT", f"{_at(begun)}/chunks/{number}", content=piece, headers=headers)

    async def complete(self, begun: Json) -> Json:
        """Have it checked and handed over."""
        return await self.call("POST", f"{_at(begun)}/complete")

    async def state(self, begun: Json) -> str:
        """Return what became of the import."""
        return str((await self.call("GET", _at(begun)))["state"])

    async def session(self, account_id: str) -> Json:
        """Return the account's login state."""
        return await self.call("GET", f"/v1/accounts/{account_id}/session")

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer, whatever it is; raises Trouble once the line has been away for too long."""
        deadline, pause = time.monotonic() + self._patience, 0.5
        while True:
            try:
                answer = await self._http.request(method, path, **options)
                problem = f"the service answers {answer.status_code}"
                if answer.status_code not in _AGAIN:
                    return answer
            except httpx.TransportError as error:
                problem = f"no answer from {self._http.base_url}: {type(error).__name__}"
            if time.monotonic() + pause > deadline:
                raise Trouble(problem)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _at(begun: Json) -> str:
    return f"/v1/accounts/{begun['account_id']}/session-imports/{begun['id']}"


def _words(answer: httpx.Response) -> str:
    if answer.status_code == 401:
        return "the token is not valid (any more): ask for a new one, or on the server: kurir token --role operator"
    if answer.status_code == 403:
        return "the token's role may not do this: an operator's is needed"
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the service answers {answer.status_code}: is this the address of Kurir's accounts?"
