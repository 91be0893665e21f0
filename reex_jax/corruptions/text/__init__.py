"""Text corruptions."""
