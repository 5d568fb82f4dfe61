"""Telegram's API as this channel needs it: the only package that imports the library."""
