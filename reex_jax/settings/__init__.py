"""What an experiment is made of: frozen dataclasses, checked when they are made; no JAX."""
