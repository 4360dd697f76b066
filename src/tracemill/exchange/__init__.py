"""Answers bought elsewhere: requests written out for a batch service, and its answers taken into the journal."""
