"""Attachments: files people upload to send."""
