"""The noisy channel: which words may stand behind a damaged one, and which of them fit together."""
