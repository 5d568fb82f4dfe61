"""Who may not be written to, and the public page on which people say so themselves."""
