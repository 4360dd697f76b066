"""Opening post-training data, NVIDIA's or ours, from any form it lies in: what a row holds, under one set of columns.

A *source* is what the user names: a directory, a file, a glob or a Hub id. It is made of *shards*, files with rows of
one split. A shard is read in *pieces*, which any process may take, and a piece in *batches* of `columns.SCHEMA`.
"""
