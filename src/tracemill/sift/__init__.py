"""Quality filters over rows: which are wanted, which were checked, and duplicates."""
