"""No route of the service is open but health, metrics, documents and the one-click page."""

from campaigns.main import build
from campaigns.settings import Settings
from servicekit.auth import assert_guarded

PUBLIC = {"GET /livez", "GET /readyz", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /docs", "/u/{token}"}


def test_every_route_asks_for_a_token_but_the_public_ones():
    settings = Settings(jwt_secret="practice-jwt-secret-of-more-than-32-characters", address_hmac_keys="k")
    assert_guarded(build(settings), PUBLIC)
