"""From a compiled graph to a Triton model repository on disk: a pure plan first, then one careful write."""
