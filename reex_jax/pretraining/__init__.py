"""How the bundled CLIP model is made: tokenizer, settings, training data, training step."""
