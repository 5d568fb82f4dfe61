"""How a method of Telegram's API is answered: a function per request, and errors as Telegram names them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from telethon.tl import types as t

from practice.telegram.people import AuthKey, Person

if TYPE_CHECKING:
    from practice.telegram.connection import Connection
    from practice.telegram.world import World

_CODES = (
    (303, r".*_MIGRATE_\d+"),
    (401, "AUTH_KEY_UNREGISTERED|AUTH_KEY_INVALID|SESSION_.*|USER_DEACTIVATED.*"),
    (403, "USER_PRIVACY_RESTRICTED|CHAT_WRITE_FORBIDDEN|PRIVACY_PREMIUM_REQUIRED|MESSAGE_AUTHOR_REQUIRED"),
    (406, "AUTH_KEY_DUPLICATED|SEND_CODE_UNAVAILABLE|PHONE_PASSWORD_FLOOD|UPDATE_APP_TO_LOGIN"),
    (420, r"(FLOOD|SLOWMODE|TAKEOUT_INIT|FLOOD_PREMIUM)_(WAIT|DELAY)_\d+"),
    (500, "RANDOM_ID_DUPLICATE|AUTH_RESTART|RPC_CALL_FAIL|RPC_MCGET_FAIL|INTERNAL.*|.*_TRY_AGAIN"),
)


class RpcError(Exception):
    """An error of Telegram's API; the code follows from the name unless given."""

    def __init__(self, name: str, code: int = 0) -> None:
        super().__init__(name)
        self.name = name
        self.code = code or next((code for code, names in _CODES if re.fullmatch(names, name)), 400)


@dataclass(slots=True)
class Call:
    """Who calls: the key, its person, the connection, and the world they act on."""

    world: "World"
    connection: "Connection"
    key: AuthKey

    @property
    def me(self) -> Person:
        """The person signed in. Raises RpcError where nobody is."""
        if self.key.person is None:
            raise RpcError("AUTH_KEY_UNREGISTERED")
        return self.key.person

    def person(self, given: Any) -> Person:
        """Return whom an InputUser or InputPeer means. Raises RpcError for a wrong access hash."""
        if isinstance(given, t.InputPeerSelf | t.InputUserSelf):
            return self.me
        found = self.world.people.get(getattr(given, "user_id", 0))
        if found is None or self.world.access_hash(self.me, found) != getattr(given, "access_hash", 0):
            raise RpcError("PEER_ID_INVALID")
        return found


Handler: TypeAlias = Callable[[Call, Any], Any]
HANDLERS: dict[type[Any], Handler] = {}
#: Requests answered without a login.
PUBLIC: set[type[Any]] = set()
#: Requests answered to a login imported from another DC.
ELSEWHERE: set[type[Any]] = set()


def handles(*requests: type[Any], public: bool = False, elsewhere: bool = False) -> Callable[[Handler], Handler]:
    """Register the function that answers these requests."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(requests, handler))
        PUBLIC.update(requests if public else ())
        ELSEWHERE.update(requests if public or elsewhere else ())
        return handler

    return register


def method_name(request: Any) -> str:
    """Return the name of a request as Telegram's documentation writes it: `messages.sendMessage`."""
    kind = type(request)
    return _method_name(kind.__module__.rpartition(".")[2], kind.__name__.removesuffix("Request"))


@cache
def _method_name(section: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return lowered if section == "functions" else f"{section}.{lowered}"
