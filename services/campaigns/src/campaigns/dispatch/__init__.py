"""Dispatch: rows become commands, and no row stays without an end."""
