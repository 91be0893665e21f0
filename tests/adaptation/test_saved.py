"""Adapters that are saved and go on elsewhere."""

import json

import jax
import numpy as np
import pytest

from reex_jax import Adapter, load_clip
from reex_jax.adaptation.saved import IDENTITY, hash_of
from reex_jax.errors import UserError


@pytest.fixture(scope="module")
def tokens(golden):
    return golden["tokens"].astype(np.int32)


@pytest.fixture(scope="module")
def make(tiny, golden):
    def adapter(gallery="image_embeds", clip=tiny, **changes):
        settings = {"query": "text", "steps": 1, "batch_size": 8, "learning_rate": 1e-2} | changes
        return Adapter(clip, golden[gallery], **settings)

    return adapter


@pytest.fixture(scope="module")
def adapter(make):
    return make(k=3)


def test_a_restored_adapter_goes_on_with_identical_numbers(adapter, tokens, tmp_path):
    adapter.reset()
    adapter.adapt(tokens[:8]), adapter.adapt(tokens[8:16])
    adapter.save(tmp_path / "a")
    saved = jax.device_get(adapter.state)
    wanted = adapter.similarities(tokens[16:24]), adapter.similarities(tokens[24:32])
    adapter.reset()
    adapter.adapt(tokens[40:48])
    adapter.restore(tmp_path / "a")
    for a, b in zip(jax.tree.leaves(adapter.state), jax.tree.leaves(saved), strict=True):
        np.testing.assert_array_equal(a, b)
    found = adapter.similarities(tokens[16:24]), adapter.similarities(tokens[24:32])
    np.testing.assert_array_equal(found, wanted)


def test_a_save_replaces_an_earlier_one_whatever_came_between(adapter, tokens, tmp_path):
    adapter.reset()
    adapter.save(tmp_path)  # a state that has seen nothing may be saved too
    for count in (2, 1, 1):  # more batches than before, fewer, and the same number
        adapter.reset()
        for start in range(count):
            adapter.adapt(tokens[8 * start + count : 8 * start + count + 8])
        wanted = jax.device_get(adapter.state)
        adapter.save(tmp_path)
        adapter.reset()
        adapter.restore(tmp_path)
        for a, b in zip(jax.tree.leaves(adapter.state), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(list(tmp_path.iterdir())) == 2, "one state and one identity"


def test_a_fresh_adapter_on_more_devices_goes_on(make, tokens, tmp_path):
    one, eight = (
        make(method="tent", relative_temperature=1.4),
        make(method="tent", relative_temperature=1.4, devices=8),
    )
    one.adapt(tokens[:8])
    one.save(tmp_path)
    eight.restore(tmp_path)
    np.testing.assert_allclose(
        eight.similarities(tokens[8:16]), one.similarities(tokens[8:16]), rtol=1e-5, atol=1e-5
    )


def test_a_seed_comes_back_with_the_state(make, tokens, tmp_path):
    one, other = make(strategy="random_m", m=1, k=1), make(strategy="random_m", m=1, k=1)
    one.reset(seed=7)
    one.adapt(tokens[:8])
    one.save(tmp_path)
    other.restore(tmp_path)
    assert other.state.seed == 7
    np.testing.assert_array_equal(other.similarities(tokens[8:16]), one.similarities(tokens[8:16]))


def test_defaults_and_the_same_values_written_out_are_one_adapter(make, tmp_path):
    make().save(tmp_path)
    make(k=20, seed=5, devices=2).restore(tmp_path)


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"method": "tcr"},
            r"with method 'reex', but this adapter has 'tcr'; make an Adapter like",
        ),
        ({"k": 5}, r"with settings k 20, but this adapter has 5"),
        ({"steps": 2}, r"with settings steps 1, but this adapter has 2"),
        ({"gallery": "text_embeds"}, r"was saved with another gallery; make an Adapter like the"),
        ({"query": "image"}, r"with query 'text', but this adapter has 'image'"),
        ({"parameters": "block_layer_norms"}, r"settings parameters 'layer_norms', but this"),
    ],
)
def test_another_adapter_s_state_is_refused(make, tmp_path, changes, message):
    make().save(tmp_path)
    with pytest.raises(UserError, match=message):
        make(**changes).restore(tmp_path)


def test_another_model_s_state_is_refused(make, tiny, tmp_path):
    make().save(tmp_path)
    other = load_clip(tiny.folder, precision="float32")
    other.model.text.projection.kernel[...] *= 2.0
    with pytest.raises(UserError, match="was saved with another model; make an Adapter like the"):
        make(clip=other).restore(tmp_path)


def test_folders_of_other_things_stay_as_they_are(make, tmp_path):
    adapter, file = make(), tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(UserError, match="holds something else; give a new or empty folder"):
        adapter.save(tmp_path)
    with pytest.raises(UserError, match=r"notes\.txt is a file; give a new or empty folder"):
        adapter.save(file)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"] and file.read_text() == "mine"


def test_what_holds_no_adapter_is_refused(make, tmp_path):
    adapter = make()
    with pytest.raises(UserError, match=r"holds no saved adapter \(adapter\.json is missing\)"):
        adapter.restore(tmp_path / "nowhere")
    adapter.save(tmp_path / "a")
    identity = (tmp_path / "a" / IDENTITY).read_text()
    assert json.loads(identity)["settings"]["memory"] == 56
    bare = tmp_path / "b"
    bare.mkdir()
    (bare / IDENTITY).write_text(identity)
    with pytest.raises(UserError, match=r"holds no saved state beside adapter\.json"):
        adapter.restore(bare)
    for damaged in ("", "{", "[]"):
        (bare / IDENTITY).write_text(damaged)
        with pytest.raises(UserError, match=r"is damaged|was saved with"):
            adapter.restore(bare)


def test_hash_ofs_tell_bytes_shapes_and_types_apart():
    zeros = np.zeros((2, 3), np.float32)
    others = [zeros.T, zeros.astype(np.int32), zeros + 1, {"a": zeros}, [zeros, zeros]]
    found = [hash_of(zeros), *map(hash_of, others)]
    assert len(set(found)) == len(found)
    assert hash_of(jax.numpy.zeros((2, 3))) == found[0]
    assert hash_of(np.asfortranarray(zeros)) == found[0]
