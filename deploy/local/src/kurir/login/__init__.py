"""`kurir login`: a person logs an account in on their own computer, and the session is handed to Kurir."""
