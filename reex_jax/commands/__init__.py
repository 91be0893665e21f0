"""What `python -m reex_jax COMMAND` does: each command a plain function, apart from its flags."""
