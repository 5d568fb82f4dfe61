"""A whole service process: health while dependencies are away, background work, SIGTERM."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.processes import free_port

SERVICE = Path(__file__).parent / "tiny_service.py"


class Service:
    def __init__(self, tmp_path, nats_url, mongo_url, db) -> None:
        self.port = free_port()
        self.log = tmp_path / "service.log"
        env = {
            "PATH": "/usr/bin:/bin",
            "NATS_URL": nats_url,
            "MONGO_URL": mongo_url,
            "MONGO_DB": db,
            "TINY_PORT": str(self.port),
            "TINY_HOST": "127.0.0.1",
            "KURIR_JWT_SECRET": "s" * 40,
            "KURIR_SERVICE_TOKEN": "practice-token",
        }
        with self.log.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, str(SERVICE)], env=env, stdout=out, stderr=out)
        self.url = f"http://127.0.0.1:{self.port}"

    async def get(self, path, **more):
        async with httpx.AsyncClient(base_url=self.url, headers={"Authorization": "Bearer practice-token"}) as client:
            return await client.get(path, **more)

    async def until(self, path, check, seconds=60):
        until = time.monotonic() + seconds
        last = None
        while time.monotonic() < until:
            try:
                last = await self.get(path)
                if check(last):
                    return last
            except httpx.TransportError as error:
                last = error
            await asyncio.sleep(0.05)
        raise AssertionError(f"{path}: {getattr(last, 'text', last)}\n{self.log.read_text()[-3000:]}")

    def events(self):
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
async def service(tmp_path, fresh_nats, mongo_url, fresh_db):
    made = Service(tmp_path, fresh_nats.url, mongo_url, fresh_db)
    yield made
    made.process.kill()
    made.process.wait()


async def test_health_names_each_dependency_task_and_session(service):
    await service.until("/readyz", lambda r: r.status_code == 200)
    report = (await service.get("/healthz")).json()
    assert report["status"] == "ok"
    assert set(report["dependencies"]) == {"nats", "store", "startup"}
    assert report["dependencies"]["nats"]["latency_seconds"] > 0
    assert report["dependencies"]["store"]["last_ok"]
    assert report["tasks"]["beat"] == "running"
    assert report["sessions"]["acc_1"]["status"] == "ready"


async def test_a_failing_task_is_started_again_and_reported(service):
    report = (await service.until("/healthz", lambda r: "failed" in r.json()["tasks"].get("stumbles", ""))).json()
    assert "on purpose" in report["tasks"]["stumbles"]
    await service.until("/healthz", lambda r: r.json()["tasks"]["stumbles"] == "done")


async def test_without_nats_it_lives_is_not_ready_and_recovers(service, fresh_nats):
    await service.until("/readyz", lambda r: r.status_code == 200)
    fresh_nats.kill()
    answer = await service.until("/readyz", lambda r: r.status_code == 503)
    assert "nats" in answer.json()["down"]
    assert (await service.get("/livez")).status_code == 200
    refused = await service.get("/publish")
    assert refused.status_code == 503
    assert refused.json()["reason"] == "unavailable"
    assert refused.headers["retry-after"]
    fresh_nats.start()
    await service.until("/readyz", lambda r: r.status_code == 200)
    await service.until("/publish", lambda r: r.status_code == 200)


async def test_started_without_nats_health_answers_and_sigterm_works(tmp_path, fresh_nats, mongo_url, fresh_db):
    fresh_nats.kill()
    service = Service(tmp_path, fresh_nats.url, mongo_url, fresh_db)
    await service.until("/livez", lambda r: r.status_code == 200)
    assert (await service.get("/readyz")).status_code == 503
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(service.process.wait, 10) in {0, -signal.SIGTERM}
    assert time.monotonic() - started < 5


async def test_sigterm_finishes_the_open_request_ends_streams_and_runs_the_hooks(service):
    await service.until("/readyz", lambda r: r.status_code == 200)

    async def follow():
        async with (
            httpx.AsyncClient(
                base_url=service.url, headers={"Authorization": "Bearer practice-token"}, timeout=20
            ) as client,
            client.stream("GET", "/events") as answer,
        ):
            return [line async for line in answer.aiter_lines()]

    slow = asyncio.create_task(service.get("/slow", timeout=20))
    stream = asyncio.create_task(follow())
    await asyncio.sleep(0.5)
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    assert (await slow).json() == "finished"
    lines = await stream
    assert any("connected" in line for line in lines)
    await asyncio.to_thread(service.process.wait, 10)
    assert time.monotonic() - started < 6
    events = service.events()
    assert events.index("stopping was announced") < events.index("beat ended") < events.index("shutdown hook ran")


async def test_live_events_reach_the_clients_of_other_replicas(service, tmp_path, fresh_nats, mongo_url, fresh_db):
    (tmp_path / "two").mkdir()
    other = Service(tmp_path / "two", fresh_nats.url, mongo_url, fresh_db)
    await service.until("/readyz", lambda r: r.status_code == 200)
    await other.until("/readyz", lambda r: r.status_code == 200)
    headers = {"Authorization": "Bearer practice-token"}
    async with (
        httpx.AsyncClient(base_url=other.url, headers=headers, timeout=20) as client,
        client.stream("GET", "/events") as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if "connected" in line:
                break
        await service.get("/publish")
        async for line in lines:
            if line.startswith("event: thing"):
                break
    other.process.kill()
    other.process.wait()
