"""Is this text in the data? Whole, or in part, in any dataset that `tracemill.open` reads.

A regular expression over whole columns finds the few rows that may hold it; only those are looked at word by word.
"""
