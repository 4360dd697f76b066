"""From committed units to a dataset on the disk: splits, shards, card, manifest."""
