"""Search as a service: requests in, rankings out; it learns from them beside the answers."""
