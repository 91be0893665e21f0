"""Causal language models of the Llama family, as readers: how likely a text is."""
