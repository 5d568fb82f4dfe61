"""The platform as a command: on this machine alone, until it is told to stop."""

import httpx
import psutil
from practice.whatsapp import running


async def test_it_says_its_ports_and_listens_on_this_machine_alone():
    async with running(qr_seconds=5) as whatsapp:
        health = await whatsapp.client.healthz()
        assert (health["status"], health["page_url"]) == ("ok", whatsapp.ports.page_url)
        async with httpx.AsyncClient(trust_env=False) as http:
            index = await http.get(whatsapp.ports.page_url)
            assert index.headers["content-security-policy"].startswith("default-src 'self'; script-src 'self';")
            assert (await http.post(whatsapp.ports.page_url + "wa/send", json={"token": "no"})).status_code == 401
        listening = psutil.Process(whatsapp.process.pid).net_connections("tcp")
        assert {one.laddr.ip for one in listening if one.status == "LISTEN"} == {"127.0.0.1"}
    assert whatsapp.process.returncode == 0
