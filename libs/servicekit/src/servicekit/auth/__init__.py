"""Who calls, and what they may do: passwords, tokens, roles, and the dependency that guards a route."""

from servicekit.auth.guard import assert_guarded, require
from servicekit.auth.passwords import hash_password, verify_password
from servicekit.auth.roles import Principal, Role
from servicekit.auth.tokens import Authenticator, issue_token

__all__ = [
    "Authenticator",
    "Principal",
    "Role",
    "assert_guarded",
    "hash_password",
    "issue_token",
    "require",
    "verify_password",
]
