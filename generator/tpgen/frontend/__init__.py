"""From TOML text to a graph: expressions, values, keys, and the checks on structure."""
