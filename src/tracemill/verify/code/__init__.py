"""Is the code of an answer right? Its blocks are taken out, parsed, and run against tests in the sandbox."""
