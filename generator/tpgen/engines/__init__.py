"""Model files: reading what they take and give, and rewriting copies of them."""
