"""What a service says of itself when something is away: down without what it needs, degraded without the rest."""

import httpx
from fastapi import FastAPI
from servicekit.health import Health, router


async def here():
    """Be there."""


async def away():
    raise OSError("no browser: apt install chromium-headless-shell")


async def asked(**checks):
    """Return (status of /readyz, body of /healthz) of a service with these checks: name=(check, needed)."""
    app = FastAPI()
    app.include_router(router)
    app.state.health = Health("channel-whatsapp", "one")
    for name, (check, needed) in checks.items():
        app.state.health.add(name, check, needed=needed)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        return (await client.get("/readyz")).status_code, (await client.get("/healthz")).json()


async def test_without_what_it_can_do_without_a_service_is_ready_and_says_what_it_lacks():
    code, report = await asked(nats=(here, True), browser=(away, False))
    assert (code, report["status"]) == (200, "degraded")
    assert report["dependencies"]["browser"]["detail"] == "no browser: apt install chromium-headless-shell"


async def test_without_what_it_needs_it_is_down_whatever_else_is_there():
    code, report = await asked(nats=(away, True), browser=(away, False))
    assert (code, report["status"]) == (503, "down")
    assert (await asked(nats=(here, True), browser=(here, False)))[1]["status"] == "ok"
