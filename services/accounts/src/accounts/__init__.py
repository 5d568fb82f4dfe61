"""Accounts of every channel: login, worker switch, logs, operators' sign-in."""
