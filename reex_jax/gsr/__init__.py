"""GSR: Generative Semantic Refinement; damaged text queries repaired offline, fused online."""
