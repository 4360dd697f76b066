"""Whatever a run keeps on disk: the file seam, journal, manifests, Parquet, the lock, and where each lies."""
