"""The adaptation methods, one file each."""
