"""The part of the API that changes something: faults, accounts, mailboxes, connections."""

from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from practice.faults import fault_routes
from practice.mail.faults import FaultName, Faults
from practice.mail.inject import Injection
from practice.mail.parsed import read

if TYPE_CHECKING:
    from practice.mail.platform import MailPlatform


class AccountBody(BaseModel):
    """The credentials of an account."""

    model_config = ConfigDict(extra="forbid")

    password: str = "secret"
    token: str | None = Field(default=None, description="what XOAUTH2 presents")


class FolderBody(BaseModel):
    """A folder of an account."""

    model_config = ConfigDict(extra="forbid")

    address: str
    folder: str = "INBOX"


def switches(platform: "MailPlatform") -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    router.include_router(fault_routes(platform.handler, Faults, FaultName))
    _accounts(router, platform)
    _connections(router, platform)
    return router


def _accounts(router: APIRouter, platform: "MailPlatform") -> None:
    accounts, mailboxes = platform.accounts, platform.mailboxes

    @router.put("/accounts/{address}")
    async def put_account(address: str, body: AccountBody) -> dict[str, str]:
        account = accounts.put(address, body.password, body.token)
        mailboxes.of(account.address)
        return {"address": account.address}

    @router.get("/accounts")
    async def get_accounts() -> list[str]:
        return sorted(accounts.known)

    @router.post("/inject")
    async def inject(given: Injection) -> dict[str, Any]:
        address = accounts.address(given.to)
        content = given.content(address)
        try:
            delivered = await mailboxes.deliver(address, given.folder, content)
        except KeyError:
            raise HTTPException(404, f"no folder {given.folder}") from None
        if not delivered:
            raise HTTPException(404, f"no account {address}")
        return {"address": address, "size": len(content)}

    @router.get("/mailboxes/{address}/{folder}")
    async def mailbox(address: str, folder: str) -> list[dict[str, Any]]:
        full = accounts.address(address)
        if full not in accounts.known:
            raise HTTPException(404, f"no account {full}")
        try:
            held = await mailboxes.contents(full, folder)
        except KeyError:
            raise HTTPException(404, f"no folder {folder}") from None
        return [{"uid": uid, "size": len(raw), **read(raw)} for uid, raw in held]


def _connections(router: APIRouter, platform: "MailPlatform") -> None:
    @router.post("/drop-connections")
    async def drop_connections(service: Literal["smtp", "imap", "all"] = "all") -> dict[str, int]:
        return {
            "smtp": platform.drop_smtp() if service != "imap" else 0,
            "imap": platform.imap.drop_connections() if service != "smtp" else 0,
        }

    @router.post("/imap/uidvalidity")
    async def uidvalidity(body: FolderBody) -> dict[str, int]:
        address = platform.accounts.address(body.address)
        if address not in platform.accounts.known:
            raise HTTPException(404, f"no account {address}")
        try:
            renewed = await platform.mailboxes.renumber(address, body.folder)
        except KeyError:
            raise HTTPException(404, f"no folder {body.folder}") from None
        platform.imap.drop_connections()
        return {"uidvalidity": renewed}

    @router.post("/reset")
    async def reset(*, mailboxes: bool = True) -> dict[str, str]:
        platform.reset(mailboxes=mailboxes)
        return {"status": "ok"}
