"""Every message, subject, stream and bucket of Kurir: pydantic models and plain data."""
