"""Looking at a dataset as it is, NVIDIA's or ours: what is wrong with its rows, and what is in it. Nothing is changed.

A batch becomes a `Block` of numpy arrays over the bytes of all its texts. Checks are passes over those; only the few
rows that a pass finds suspicious are looked at one by one.
"""
