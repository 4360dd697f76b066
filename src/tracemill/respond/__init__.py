"""Teacher answers: what is asked of whom, and the sample that comes of it."""
