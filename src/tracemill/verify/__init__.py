"""Is the answer right? Steps that check a sample against what is known, or its siblings against one another."""
