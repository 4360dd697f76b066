"""Prompts: read from files or made by a generator, and spooled by key to the disk."""
