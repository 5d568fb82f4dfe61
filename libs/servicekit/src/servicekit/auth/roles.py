"""Roles: a viewer reads, an operator works, an admin manages accounts of people; a service acts as an operator."""

from enum import StrEnum

from pydantic import BaseModel


class Role(StrEnum):
    """What a token's bearer is."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    SERVICE = "service"

    def may(self, needed: "Role") -> bool:
        """Return whether this role may do what *needed* may. Only a service is a service; it is never an admin."""
        if needed is Role.SERVICE:
            return self is Role.SERVICE
        return _RANK[self] >= _RANK[needed]


_RANK = {Role.VIEWER: 1, Role.OPERATOR: 2, Role.SERVICE: 2, Role.ADMIN: 3}


class Principal(BaseModel):
    """Who made the request."""

    subject: str
    role: Role
