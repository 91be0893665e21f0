"""One dictionary for all tests here: its index takes two seconds."""

import pytest

from reex_jax.gsr.dictionary import Dictionary, load_dictionary


@pytest.fixture(scope="session")
def dictionary() -> Dictionary:
    return load_dictionary()
