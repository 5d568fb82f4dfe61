"""A channel service: health and metrics over HTTP, everything else over the bus."""

from collections.abc import Sequence
from datetime import timedelta

from contracts.channels import Channel
from contracts.state import SessionState, SessionStatus
from fastapi import FastAPI
from servicekit.app import build_api
from servicekit.bus import Bus
from servicekit.clock import utcnow
from servicekit.health import SessionHealth
from servicekit.settings import split

from channelkit.manager import ChannelManager
from channelkit.protocol import ChannelDriver
from channelkit.settings import ChannelSettings


def enabled(driver: ChannelDriver, settings: ChannelSettings) -> list[Channel]:
    """Return the driver's channels that are to be served here."""
    names = split(settings.enabled_channels)
    return [c for c in driver.channels if not names or c in names]


def build_app(driver: ChannelDriver, settings: ChannelSettings, bus: Bus | None = None) -> FastAPI:
    """Return the service of *driver*; run it with `servicekit.app.run`.

    SIGTERM stops pulling at once, waits for what is out (at most a send timeout), closes sessions, releases leases.
    """
    timeout = settings.send_timeout_seconds or driver.capabilities.send_timeout_seconds
    settings = settings.model_copy(update={"shutdown_grace_seconds": timeout + settings.shutdown_grace_seconds})
    bus = bus or Bus(settings)
    managers = [ChannelManager(bus, channel, driver, settings) for channel in enabled(driver, settings)]
    app = build_api(
        settings,
        bus,
        startup=[m.start for m in managers],
        shutdown=[m.stop for m in managers],
        stopping=[m.stop_pulling for m in managers],
        sessions=lambda: sessions(managers),
        title=settings.service,
    )
    app.state.managers = managers
    return app


def sessions(managers: Sequence[ChannelManager]) -> dict[str, SessionHealth]:
    """Return this replica's sessions by `<channel>/<account>`, for /healthz."""
    return {
        f"{manager.channel}/{account_id}": _health(runner.reporter.state, manager)
        for manager in managers
        for account_id, runner in manager.runners.items()
    }


def _health(state: SessionState, manager: ChannelManager) -> SessionHealth:
    late = timedelta(seconds=3 * manager.kit.settings.probe_seconds)
    detail = state.reason
    if state.status is SessionStatus.READY and state.last_proof_of_life:
        detail = detail or ("no recent sign of life" if utcnow() - state.last_proof_of_life > late else "")
    return SessionHealth(status=str(state.status), last_proof_of_life=state.last_proof_of_life, detail=detail)
