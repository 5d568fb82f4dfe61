"""Campaigns: what to say, to whom, from which accounts, when."""
