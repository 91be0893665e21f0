"""What finds the nearest items of an index: exact on the device, or somebody else's graph."""
