"""What can be said of a run: how far it is, the life of a row, and the proof that it is whole."""
