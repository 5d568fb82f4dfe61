"""Secrets like no other text, given to a platform in every way there is; they must be nowhere in the clear afterwards."""

import base64
from dataclasses import dataclass, field

from kurir.demo import email
from kurir.demo.rest import wait_for

from tests.support.live import Live

PASSWORD = "Geheim-77-Kata-Sandi"
"""Of the account that sends."""


@dataclass
class Planted:
    """What was given. `texts` are what people wrote: no secrets, but nothing for a log."""

    secrets: dict[str, str]
    texts: dict[str, str] = field(default_factory=lambda: {"text": "Kopi Gayo", "answer": "Masih ada, kak"})


async def plant(kurir: Live) -> Planted:
    """Be refused with wrong passwords and codes, and change the right one; the story was told with PASSWORD before."""
    wrong = {
        "wrong password": "Salah-88-Kata-Sandi", "tried password": "Coba-99-Kata-Sandi", "new password": "Baru-66-Kata-Sandi",
        "sign-in": "Masuk-55-Kata-Sandi", "login code": "Kode-44-884411", "operator's password": "Operator-33-Kata-Sandi",
    }  # fmt: skip
    accounts = [a async for a in kurir.rest.items("accounts", "/v1/accounts")]
    good = await kurir.rest.call("GET", "accounts", f"/v1/accounts/{accounts[0]['id']}")
    await _refused_account(kurir, good, wrong["wrong password"], wrong["new password"])
    await _posted(
        kurir, "/v1/channels/email/test", settings=good["settings"], credentials=_both(wrong["tried password"])
    )
    await _posted(kurir, "/v1/sessions", email="admin@kurir.local", password=wrong["sign-in"])
    code = {"challenge_id": "none", "answer": wrong["login code"]}
    await _posted(kurir, f"/v1/accounts/{good['id']}/challenge/answer", **code)
    operator = {"email": "op@kurir.local", "name": "Op", "role": "viewer", "password": wrong["operator's password"]}
    await _posted(kurir, "/v1/operators", **operator)
    signed_in = await _posted(kurir, "/v1/sessions", email="op@kurir.local", password=operator["password"])
    program = await _posted(kurir, "/v1/tokens", name="program", role="viewer")
    keys = {k: v for k, v in kurir.platform.keys.__dict__.items() if k != "admin_email"}
    tokens = {"token": kurir.token, "session token": _token(signed_in), "program's token": _token(program)}
    plain = {f"AUTH {name}": _auth(one) for name, one in {**wrong, "password": PASSWORD}.items()}
    return Planted({**keys, **wrong, **tokens, **plain, "password": PASSWORD})


def _auth(password: str) -> str:
    return base64.b64encode(f"\0{email.ADDRESS}\0{password}".encode()).decode()


def _both(password: str) -> dict[str, str]:
    return {"smtp_password": password, "imap_password": password}


def _token(answer: dict[str, str]) -> str:
    found = answer.get("token") or answer.get("access_token")
    assert found, answer
    return found


async def _posted(kurir: Live, path: str, **body: object) -> dict[str, str]:
    answer = await kurir.rest.http.post(kurir.rest.services["accounts"] + path, json=body)
    assert answer.status_code < 500, answer.text
    return answer.json() if answer.content else {}


async def _refused_account(kurir: Live, good: dict[str, object], *passwords: str) -> None:
    """Make an account with the first password, and edit it to have each of the others."""
    body = {"name": "Wrong", "channel": "email", "settings": good["settings"], "credentials": _both(passwords[0])}
    account = (await kurir.rest.call("POST", "accounts", "/v1/accounts", json=body))["id"]
    path = f"/v1/accounts/{account}"
    for following in (*passwords[1:], ""):
        await wait_for("the password to be refused", lambda: _failed(kurir, path), 30)
        if following:
            version = (await kurir.rest.call("GET", "accounts", path))["version"]
            changed = {"version": version, "credentials": _both(following)}
            await kurir.rest.call("PATCH", "accounts", path, json=changed)


async def _failed(kurir: Live, path: str) -> bool:
    session = await kurir.rest.call("GET", "accounts", f"{path}/session")
    version = (await kurir.rest.call("GET", "accounts", path))["version"]
    return session.get("status") == "failed" and session.get("observed_version", version) >= version
