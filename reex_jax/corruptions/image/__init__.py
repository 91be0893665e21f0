"""Image corruptions."""
