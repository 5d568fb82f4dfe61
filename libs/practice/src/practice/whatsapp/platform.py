"""The practice WhatsApp: the page, the chat server and its API, in one process."""

from dataclasses import dataclass

from practice.platform import ApiPorts, Platform
from practice.whatsapp.api import build_api
from practice.whatsapp.page_api import build_page_api
from practice.whatsapp.server import ChatServer
from practice.whatsapp.settings import WhatsAppSettings


@dataclass(frozen=True, slots=True)
class Ports(ApiPorts):
    """Where a running practice WhatsApp listens."""

    page: int

    @property
    def page_url(self) -> str:
        """What a browser opens."""
        return f"http://{self.host}:{self.page}/"

    def as_dict(self) -> dict[str, str | int]:
        """Return the ports as the JSON line that the command prints."""
        return {**ApiPorts.as_dict(self), "page_url": self.page_url}


class WhatsAppPlatform(Platform[Ports]):
    """`async with WhatsAppPlatform(WhatsAppSettings()) as platform:` listens until the block ends."""

    def __init__(self, settings: WhatsAppSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or WhatsAppSettings()
        self.server = ChatServer(self.settings)

    async def _start(self) -> Ports:
        self._stack.push_async_callback(self.server.acting.stop)
        page, api = (self._bind(self.settings.host, port) for port in (self.settings.port, self.settings.api_port))
        ports = Ports(self.settings.host, api.getsockname()[1], page.getsockname()[1])
        self._serve(build_page_api(self.server), page, access_log=False)
        self._serve(build_api(self.server, ports.as_dict()), api, access_log=False)
        return ports
