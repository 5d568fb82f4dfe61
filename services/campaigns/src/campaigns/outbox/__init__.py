"""The outbox: every message with its state."""
