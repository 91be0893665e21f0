"""How the bundled CLIP model is made: tokenizer, training data, training step, evaluation."""
