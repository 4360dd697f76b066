"""Taking rows down: what was published no longer holds them, and no later build brings them back.

Only the files that hold such a row are written anew; a new manifest names the others as they are.
"""
