"""Session import: a session a person logged in on their own computer, uploaded in pieces, handed to its channel."""
