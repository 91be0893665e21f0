"""Every family against PyTorch's numbers in tests/data/families, and what must not pass unseen.

tests/data/make_families.py made them; tests/models/test_parity_torch.py runs the real thing.
"""

import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from PIL import Image
from safetensors.numpy import load_file, save_file

from reex_jax import load_model
from reex_jax.models.blip.config import read_blip_config
from reex_jax.models.blip.model import BlipTextTower
from reex_jax.models.blip.weights import blip_table
from reex_jax.models.folders import weight_files
from reex_jax.models.open_clip.config import read_open_clip_config
from reex_jax.models.open_clip.weights import open_clip_table
from reex_jax.models.siglip.config import read_siglip_config
from reex_jax.models.siglip.weights import siglip_table

FAMILIES = Path(__file__).parents[1] / "data" / "families"
TABLES = {
    "siglip": lambda folder: siglip_table(read_siglip_config(folder)),
    "siglip2": lambda folder: siglip_table(read_siglip_config(folder)),
    "blip": lambda folder: blip_table(read_blip_config(folder)),
    "blip_odd": lambda folder: blip_table(read_blip_config(folder)),
    "open_clip": lambda folder: open_clip_table(read_open_clip_config(folder)),
    "open_clip_custom": lambda folder: open_clip_table(read_open_clip_config(folder)),
}
TOLERANCE = 1e-5
FORGED = 20 * TOLERANCE

every_family = pytest.mark.parametrize("name", TABLES)
with_tokenizer = pytest.mark.parametrize("name", ["siglip", "siglip2", "blip", "open_clip"])


def reference(name):
    with np.load(FAMILIES / name / "reference.npz") as file:
        return dict(file)


@functools.cache
def loaded(name):
    """A family's tiny model; tests leave it as it is."""
    return load_model(FAMILIES / name, precision="float32")


def differences(model, name):
    """Of pictures' and texts' embeddings, the largest of any coordinate."""
    expected = reference(name)
    images, texts = model.encode_pixels(expected["pixels"]), model.encode_tokens(expected["ids"])
    return [
        float(np.abs(found - expected[key]).max())
        for key, found in (("images", images), ("texts", texts))
    ]


def forged(name, folder, change):
    """A family's model with its configuration changed in place by `change(config)`."""
    shutil.copytree(FAMILIES / name, folder)
    file = next(iter([*folder.glob("open_clip_config.json"), folder / "config.json"]))
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    return load_model(folder, precision="float32")


@every_family
def test_embeddings_equal_those_of_pytorch(name):
    assert max(differences(loaded(name), name)) < TOLERANCE


@every_family
@pytest.mark.parametrize("query", ["image", "text"])
def test_gradients_of_layer_norms_equal_those_of_pytorch(name, query):
    folder, expected = FAMILIES / name, reference(name)
    tower = load_model(folder, precision="float32").query_tower(query)
    structure, adapted, rest = nnx.split(
        tower.module, lambda path, _: tower.is_layer_norm(path), ...
    )
    inputs = jnp.asarray(expected["pixels" if query == "image" else "ids"])
    weights = jnp.asarray(expected[f"{query}_weights"])

    def total(parameters):
        return (nnx.merge(structure, parameters, rest)(inputs) * weights).sum()

    found = dict(nnx.to_flat_state(jax.jit(jax.grad(total))(adapted)))
    seen = set()
    for weight in TABLES[name](folder):
        side, *path = weight.path
        if side != ("vision" if query == "image" else "text") or tuple(path) not in found:
            continue
        theirs = [expected[f"{query}_grad/{one}"] for one in weight.names()]
        ours = np.asarray(found[tuple(path)][...]).reshape(np.shape(theirs))
        np.testing.assert_allclose(
            ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max(), err_msg=str(path)
        )
        seen |= set(weight.names())
    # No LayerNorm is overlooked, and nothing else is taken for one.
    assert seen == {key.partition("/")[2] for key in expected if key.startswith(f"{query}_grad/")}


def other_act(act):
    return "quick_gelu" if act.startswith("gelu") else "gelu"


def change_activation(config):
    if "model_cfg" in config:
        config["model_cfg"]["quick_gelu"] = not config["model_cfg"].get("quick_gelu")
    else:
        for tower in ("vision_config", "text_config"):
            act = config[tower].get("hidden_act", "gelu")
            config[tower]["hidden_act"] = other_act(act)


@every_family
def test_a_wrong_activation_is_noticed(name, tmp_path):
    assert min(differences(forged(name, tmp_path / "wrong", change_activation), name)) > FORGED


def test_the_tanh_in_siglips_gelu_is_noticed(tmp_path):
    def change(config):
        for tower in ("vision_config", "text_config"):
            config[tower]["hidden_act"] = "gelu"

    # The two functions differ by 5e-4 at most.
    assert min(differences(forged("siglip", tmp_path / "wrong", change), "siglip")) > 10 * TOLERANCE


@pytest.mark.parametrize("name", ["siglip", "blip", "open_clip"])
def test_a_wrong_number_of_heads_is_noticed(name, tmp_path):
    def change(config):
        if "model_cfg" in config:
            config["model_cfg"]["vision_cfg"]["head_width"] *= 2
            config["model_cfg"]["text_cfg"]["heads"] = 2
        else:
            for tower in ("vision_config", "text_config"):
                config[tower]["num_attention_heads"] = 1

    assert min(differences(forged(name, tmp_path / "wrong", change), name)) > FORGED


def test_another_pooling_of_open_clips_texts_is_noticed(tmp_path):
    def change(config):
        del config["model_cfg"]["text_cfg"]["pool_type"]

    wrong = forged("open_clip_custom", tmp_path / "wrong", change)
    images, texts = differences(wrong, "open_clip_custom")
    assert images < TOLERANCE and texts > FORGED


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_siglip_reads_its_padding(name):
    expected, model = reference(name), loaded(name)
    ids = expected["ids"]
    padded_otherwise = np.where(np.cumsum(ids == 1, axis=1) > 1, 0, ids)
    assert (padded_otherwise != ids).any()
    found = model.encode_tokens(padded_otherwise)
    assert np.abs(found[:-1] - expected["texts"][:-1]).max() > FORGED
    with pytest.raises(
        ValueError, match=r"length 8, .* texts padded to \d+, and reads the padding"
    ):
        model.encode_tokens(ids[:, :8])


@pytest.mark.parametrize("name", ["blip", "blip_odd", "open_clip", "open_clip_custom"])
def test_padding_and_length_change_nothing_elsewhere(name):
    expected, model = reference(name), loaded(name)
    ids = expected["ids"]
    short = model.encode_tokens(ids[:2, :7])
    np.testing.assert_allclose(short, expected["texts"][:2], atol=TOLERANCE)
    more = model.shape.text.max_position_embeddings - ids.shape[1]
    longer = np.pad(ids[:2], [(0, 0), (0, more)])
    found = model.encode_tokens(longer)
    np.testing.assert_allclose(found, expected["texts"][:2], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["blip", "blip_odd"])
def test_padding_that_is_not_masked_is_noticed(name, monkeypatch):
    monkeypatch.setattr(BlipTextTower, "_visible", lambda self, ids: jnp.ones(ids.shape, bool))
    expected = reference(name)
    # Past the jitted kernel, which would not be traced again.
    found = loaded(name).model.encode_tokens(expected["ids"])
    assert np.abs(np.asarray(found)[:-1] - expected["texts"][:-1]).max() > FORGED


@every_family
def test_a_wrong_order_of_patches_is_noticed(name):
    expected, model = reference(name), loaded(name)
    found = model.encode_pixels(expected["pixels"].swapaxes(1, 2).copy())
    assert np.abs(found - expected["images"]).max() > FORGED


@with_tokenizer
def test_captions_become_the_ids_of_their_own_tokenizers(name):
    model = loaded(name)
    content = json.loads((FAMILIES / name / "captions.json").read_text())
    ids, expected = model.tokens_of(content["captions"]), np.array(content["ids"])
    length = min(ids.shape[1], expected.shape[1])
    np.testing.assert_array_equal(ids[:, :length], expected[:, :length])
    if not model.model.fixed_length:
        assert len(set(expected[:, length:].ravel().tolist())) <= 1  # padding
    starts, ends = model.spans(jnp.asarray(ids))
    for row, start, end in zip(ids, starts.tolist(), ends.tolist(), strict=True):
        assert row[end] == model.tokenizer.end[0]
        assert start == len(model.tokenizer.start) and start < end


@pytest.mark.parametrize("name", ["siglip", "siglip2", "blip"])
def test_pictures_become_the_pixels_of_their_own_processors(name):
    expected, model = reference(name), loaded(name)
    found = model.prepare_image(Image.fromarray(expected["picture"]))
    np.testing.assert_allclose(found, expected["picture_pixels"], atol=1e-6)


def split_weights(folder):
    """Two shards and their index in place of the one file."""
    (whole,) = weight_files(folder)
    tensors = load_file(whole)
    whole.unlink()
    stem = whole.name.removesuffix(".safetensors")
    places = {
        name: f"{stem}-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(tensors)
    }
    for file in set(places.values()):
        save_file({name: tensors[name] for name in tensors if places[name] == file}, folder / file)
    index = json.dumps({"weight_map": places})
    (folder / f"{whole.name}.index.json").write_text(index)


@pytest.mark.parametrize("name", ["siglip", "blip", "open_clip"])
def test_shards_are_read(name, tmp_path):
    folder = shutil.copytree(FAMILIES / name, tmp_path / "sharded")
    split_weights(folder)
    assert max(differences(load_model(folder, precision="float32"), name)) < TOLERANCE


@pytest.mark.parametrize("name", ["siglip", "blip", "open_clip"])
@pytest.mark.parametrize(("dtype", "close"), [("float16", 5e-3), ("bfloat16", 5e-2)])
def test_half_precision_is_read(name, dtype, close, tmp_path):
    folder = shutil.copytree(FAMILIES / name, tmp_path / "half")
    (file,) = weight_files(folder)
    save_file({k: v.astype(jnp.dtype(dtype)) for k, v in load_file(file).items()}, file)
    model = load_model(folder, precision="float32")
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model.model))} == {jnp.dtype("f4")}
    assert TOLERANCE < max(differences(model, name)) < close


@every_family
def test_bfloat16_products_come_close(name):
    expected, model = reference(name), load_model(FAMILIES / name, precision="bfloat16")
    for key, found in (
        ("images", model.encode_pixels(expected["pixels"])),
        ("texts", model.encode_tokens(expected["ids"])),
    ):
        assert found.dtype == np.float32 and np.abs(found - expected[key]).max() < 0.1
