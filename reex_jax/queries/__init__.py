"""Where queries come from, and how batches of them are made ahead of the device."""
