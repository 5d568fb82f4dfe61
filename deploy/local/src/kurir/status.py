"""What is up, in words or JSON."""

from typing import Any

import httpx
from rich.table import Table
from servicekit.health import READY

from kurir.home import Home

PATIENCE_SECONDS = 10.0
"""More than a service gives each of its dependencies (3 s), so that the culprit is named."""


def read(home: Home) -> dict[str, Any]:
    """Return {up, home, services: {name: {ready, url, pid, restarts, dependencies}}, …}."""
    state = home.state()
    if state is None:
        return {"up": False, "home": str(home.folder), "services": {}}
    services = {name: _service(name, url, state, home) for name, url in state["services"].items()}
    others = {n: p for n, p in state["processes"].items() if n not in services}
    return {
        "up": True,
        "ready": all(s["ready"] for s in services.values()),
        "home": str(home.folder),
        "since": state["started_at"],
        "practice": state["practice"],
        "store": state["store"],
        "moved_ports": state.get("moved_ports", {}),
        "services": services,
        "processes": others,
    }


def _service(name: str, url: str, state: dict[str, Any], home: Home) -> dict[str, Any]:
    process = state["processes"].get(name, {})
    known = {"url": url, "pid": process.get("pid"), "restarts": process.get("restarts", 0)}
    try:
        answer = httpx.get(f"{url}/healthz", timeout=PATIENCE_SECONDS)
        body: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        return known | {"ready": False, "trouble": f"no answer: {type(error).__name__}"}
    wrong = trouble(body, home.instance(name))
    said = {"trouble": words} if (words := wrong or lacks(body)) else {}
    return known | {"ready": not wrong, **said, "health": body}


def trouble(report: Any, instance: str) -> str:
    """Return what a service's /healthz complains of, nothing where all is well; *instance* should have answered."""
    if not isinstance(report, dict) or report.get("instance") != instance:
        return "another program answers on its port: end that one, or kurir down and up to take another"
    return "" if report["status"] in READY else lacks(report) or str(report["status"])


def lacks(report: Any) -> str:
    """Return the dependencies that are away, in a service's own words; nothing where all are there."""
    away = (f"{name}: {found['detail']}" for name, found in report["dependencies"].items() if found["status"] != "ok")
    return "; ".join(away)


def moved(ports: dict[str, list[int]]) -> list[str]:
    """Return one line about parts that do not listen where people expect them, or none."""
    if not ports:
        return []
    told = ", ".join(f"{part} is on {now} ({usual} was taken)" for part, (usual, now) in ports.items())
    return [f"Other ports than usual: {told}"]


def table(found: dict[str, Any]) -> Table:
    """Return the status as a table for people."""
    rows = Table(title=f"Kurir in {found['home']} (store: {found['store']})")
    for column in ("part", "state", "address", "pid", "restarts"):
        rows.add_column(column)
    for name, service in found["services"].items():
        words = service.get("trouble", "")
        state = (
            "[red]not ready[/red]" if not service["ready"] else "[yellow]degraded[/yellow]" if words else "[green]ready"
        )
        state = f"{state} {words}".rstrip()
        rows.add_row(name, state, service["url"], str(service["pid"]), str(service["restarts"]))
    for name, process in found["processes"].items():
        state = "[green]up" if process["pid"] else "[red]down"
        rows.add_row(name, state, f"127.0.0.1:{process['port']}", str(process["pid"]), str(process["restarts"]))
    return rows
