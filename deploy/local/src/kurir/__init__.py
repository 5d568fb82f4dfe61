"""The kurir command: the whole platform as processes on this machine."""
