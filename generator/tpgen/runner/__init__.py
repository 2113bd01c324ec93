"""Running pipelines in this process: the reference interpreter, and generated stages without a server."""
