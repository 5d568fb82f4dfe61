"""Sends and receives through WhatsApp Web, in a real browser."""
