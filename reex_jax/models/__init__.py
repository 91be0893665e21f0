"""Two-tower models: what adaptation, ranking and benchmarks may know of them, and the families.

`llama` is apart from them: it reads texts, for repairs (gsr).
"""
