"""Generative semantic refinement: damaged text queries repaired offline, fused online."""
