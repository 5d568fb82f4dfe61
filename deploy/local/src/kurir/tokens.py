"""Access tokens for this machine's own platform."""

from servicekit.auth import Role, issue_token

from kurir.home import Keys, Trouble


def issue(keys: Keys, role: str, hours: float) -> str:
    """Return a token signed with the installation's key; raises Trouble for an unknown role."""
    try:
        wanted = Role[role.upper()]
    except KeyError as error:
        raise Trouble(f"there is no role {role!r}; there is: viewer, operator, admin") from error
    return issue_token(keys.jwt, subject="kurir-cli", role=wanted, lifetime_seconds=hours * 3600)
