"""Ask a model: what is sent, what comes back, and the ways to send it."""
