"""Two-tower models: what adaptation, ranking and benchmarks may know of them, and the families."""
