"""Contacts from a file: any encoding and delimiter, a million lines in flat memory, every rejected line with its reason."""

from campaigns.contacts.importing.table import Row, Table, read_table

__all__ = ["Row", "Table", "read_table"]
