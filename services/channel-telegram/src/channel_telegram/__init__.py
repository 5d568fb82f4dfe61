"""Sends and receives as the owner's own Telegram account."""
