"""Contacts, lists, tags and imports."""

from campaigns.contacts.audience import AudienceBatch, Member, audience

__all__ = ["AudienceBatch", "Member", "audience"]
