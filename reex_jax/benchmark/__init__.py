"""Which query streams an experiment has, and how a method is measured on each."""
