"""What the clients of all practice platforms share."""

import ssl
from typing import Any, Self

import httpx

Json = dict[str, Any]


class ApiClient:
    """`async with …Client(url) as client:`; methods raise httpx.HTTPStatusError when refused."""

    def __init__(self, api_url: str, timeout_seconds: float = 60) -> None:
        # plain HTTP alone: an empty context spares the 30 ms of reading the system's certificates
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.http = httpx.AsyncClient(base_url=api_url, timeout=timeout_seconds, trust_env=False, verify=no_tls)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.http.aclose()

    async def healthz(self) -> Json:
        """Return status and ports."""
        return await self._call("GET", "/healthz")  # type: ignore[no-any-return]

    async def faults(self) -> Json:
        """Return the faults that are on."""
        return await self._call("GET", "/faults")  # type: ignore[no-any-return]

    async def set_faults(self, **faults: Any) -> Json:
        """Replace all faults, e.g. `set_faults(slow_seconds=1, refuse_4xx={"at": "rcpt", "times": 2})`.

        Their names are in `practice.{mail,telegram,whatsapp}.faults`, their short forms in `spelled_out` there.
        """
        return await self._call("PUT", "/faults", json=faults)  # type: ignore[no-any-return]

    async def add_faults(self, **faults: Any) -> Json:
        """Switch these faults on beside the others."""
        return await self._call("PATCH", "/faults", json=faults)  # type: ignore[no-any-return]

    async def clear_faults(self, name: str | None = None) -> Json:
        """Lift one fault, or all."""
        return await self._call("DELETE", f"/faults/{name}" if name else "/faults")  # type: ignore[no-any-return]

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        answer = await self.http.request(method, path, **options)
        if answer.is_error:
            await answer.aread()
            raise httpx.HTTPStatusError(f"{answer.status_code}: {answer.text}", request=answer.request, response=answer)
        return answer.json()
