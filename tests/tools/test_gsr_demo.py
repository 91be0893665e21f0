"""Rescoring with a real model and server, where `make gsr-demo` has installed them."""

import pytest

from tools.gsr_demo import PYTHON, asked, damaged_captions, rescore, word_errors

needs_model = pytest.mark.skipif(
    not PYTHON.exists(), reason="needs requirements-gsr-demo.txt; `make gsr-demo` installs it"
)


@pytest.mark.slow
@needs_model
@pytest.mark.parametrize("scorer", ["completions", "jax"])
def test_a_real_model_chooses(tmp_path, capsys, scorer):
    pairs = damaged_captions(8)
    with asked(scorer) as settings:
        repairs = rescore(settings, [text for text, _ in pairs], tmp_path)
    said = capsys.readouterr().out
    assert "asked 8: " in said and ", 0 failed" in said and "captions/s" in said
    sound = [caption for _, caption in pairs]
    before = word_errors(sound, [text for text, _ in pairs])
    assert word_errors(sound, [item.repaired for item in repairs]) < before / 3
    assert all(0 < item.generation <= 1 for item in repairs)
    assert (sum(item.prompt_tokens for item in repairs) > 100) == (scorer == "completions")


def test_damage_and_errors_are_counted():
    pairs = damaged_captions(6)
    assert len(pairs) == 6 and all(damaged != sound for damaged, sound in pairs)
    assert word_errors(["a b c d"], ["a x c"]) == 50
