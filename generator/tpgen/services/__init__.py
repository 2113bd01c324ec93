"""Starting a server, sending requests to it, and measuring it."""
