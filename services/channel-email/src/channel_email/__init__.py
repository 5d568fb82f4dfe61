"""Sends e-mail over SMTP and reads replies over IMAP."""
