"""Test-time adaptation: the objectives, the update step, and the public `Adapter`."""
