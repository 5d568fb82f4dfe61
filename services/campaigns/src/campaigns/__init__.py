"""Contacts, campaigns, outbox and inbox."""
