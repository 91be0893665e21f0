"""Corruptions of images and texts, seeded by item."""
