"""Guarding routes: `principal: Principal = Depends(require(Role.OPERATOR))`, and the proof that none was forgotten."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPBearer

from servicekit.auth.roles import Principal, Role
from servicekit.errors import Forbidden, Unauthorized

_bearer = HTTPBearer(auto_error=False, description="A token from the accounts service, or of the issuer set there")
_MARK = "kurir_role"


def require(role: Role) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that admits *role* and those above it: 401 without a valid token, 403 with a lesser role."""

    async def guard(request: Request) -> Principal:
        given = await _bearer(request)
        if given is None:
            raise Unauthorized("send `Authorization: Bearer <token>`")
        principal: Principal = await request.app.state.auth.authenticate(given.credentials)
        if not principal.role.may(role):
            raise Forbidden(f"needs the role {role}, the token has {principal.role}")
        request.state.principal = principal
        return principal

    setattr(guard, _MARK, role)
    return guard


def unguarded(app: FastAPI) -> list[str]:
    """Return `METHOD /path` of every route without a guard; documents and mounts of other applications included."""
    found: list[str] = []
    for route in iter_route_contexts(app.routes):
        original = route.original_route
        if not isinstance(original, APIRoute) or not _guarded(getattr(route, "dependant", None)):
            methods = sorted((route.methods or {"ANY"}) - {"HEAD", "OPTIONS"})
            found.extend(f"{method} {route.path}" for method in methods)
    return found


def assert_guarded(app: FastAPI, public: Iterable[str]) -> None:
    """Assert that exactly the routes named in *public* (`GET /livez`, or a path for all methods) have no guard."""
    names = set(public)
    open_routes = unguarded(app)
    forgotten = [name for name in open_routes if name not in names and name.split(" ", 1)[1] not in names]
    assert not forgotten, f"routes without a guard: {forgotten}"
    stale = [name for name in names if not any(name in {o, o.split(" ", 1)[1]} for o in open_routes)]
    assert not stale, f"said to be public, but guarded or missing: {stale}"


def _guarded(dependant: Any) -> bool:
    if dependant is None:
        return False
    return any(hasattr(d.call, _MARK) or _guarded(d) for d in dependant.dependencies)
