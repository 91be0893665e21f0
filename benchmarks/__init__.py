"""Measurements of speed, memory and repair; each says in its docstring what to expect."""
