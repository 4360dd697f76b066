"""Putting back prompts that NVIDIA withheld for the sake of other people's licences, from the user's own copies.

A withheld prompt is empty or "-", and its row's metadata says where the text stands. What is found in a source is kept
on the disk until all of the data has been written anew, so that memory does not grow with either.
"""
