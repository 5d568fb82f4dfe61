"""Access tokens for this machine's own platform."""

from pydantic import SecretStr
from servicekit.auth import Role, issue_token
from servicekit.settings import ServiceSettings

from kurir.home import Keys, Trouble


def issue(keys: Keys, role: str, hours: float) -> str:
    """Return a token signed with the installation's key; raises Trouble for an unknown role."""
    if role not in ("viewer", "operator", "admin"):
        raise Trouble(f"there is no role {role!r}; there is: viewer, operator, admin")
    settings = ServiceSettings(service="kurir-cli", jwt_secret=SecretStr(keys.jwt))
    return issue_token(settings, "kurir-cli", Role(role), lifetime_seconds=hours * 3600)
