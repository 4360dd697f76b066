"""A dataset in further languages: the run over its rows, the pilot before it, and what became of them."""
