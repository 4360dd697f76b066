"""Quality filters over rows: duplicates."""
