"""One inbox over all channels: conversations, their messages, and answers."""
