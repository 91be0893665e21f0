"""Checkpoint folders: read, written, found, and refused with the file and the remedy."""

import hashlib
import json
import shutil
from pathlib import Path

import huggingface_hub
import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from reex_jax.errors import UserError
from reex_jax.models.clip.checkpoint import read_model, save_model
from reex_jax.models.folders import checkpoint_sha256, find_checkpoint

TINY = Path(__file__).parents[2] / "data" / "golden" / "clip_tiny"
NORM = "text_model.final_layer_norm.weight"
QUERY = "vision_model.encoder.layers.1.self_attn.q_proj.weight"


@pytest.fixture
def folder(tmp_path):
    """A copy of the tiny checkpoint, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "clip"))


@pytest.fixture(scope="module")
def tensors():
    return load_file(TINY / "model.safetensors")


@pytest.fixture(scope="module")
def tiny():
    return read_model(TINY)


def same_parameters(ours, theirs, **tolerance):
    pairs = zip(
        nnx.to_flat_state(nnx.state(ours)), nnx.to_flat_state(nnx.state(theirs)), strict=True
    )
    for (path, mine), (other_path, other) in pairs:
        assert path == other_path
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine[...], other[...], err_msg=str(path), **tolerance)


def split_in_shards(folder, tensors):
    """Replace model.safetensors by two shards and an index; return the shards' names."""
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    shards = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file)
        shards |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": shards}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return sorted(set(shards.values()))


def test_shards_give_the_same_model(folder, tensors, tiny):
    split_in_shards(folder, tensors)
    same_parameters(read_model(folder), tiny, rtol=0)


def test_a_lost_shard_is_named(folder, tensors):
    first, second = split_in_shards(folder, tensors)
    (folder / second).unlink()
    with pytest.raises(UserError, match=f"index.json: names {second}, which the folder lacks"):
        read_model(folder)
    (folder / first).unlink()
    with pytest.raises(UserError, match=f"names {first}, {second}, which the folder lacks"):
        read_model(folder)


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_a_damaged_index_is_refused(folder, index):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(UserError, match=r"index.json: not a valid index .* download it again"):
        read_model(folder)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float16, 1e-3), (ml_dtypes.bfloat16, 8e-3), (np.float64, 0)]
)
def test_other_float_types_are_read_as_float32(folder, tensors, tiny, dtype, tolerance):
    cast = {name: np.asarray(tensor, dtype) for name, tensor in tensors.items()}
    save_file(cast, folder / "model.safetensors")
    same_parameters(read_model(folder), tiny, rtol=tolerance, atol=1e-6)


def test_position_ids_of_old_checkpoints_are_tolerated(folder, tensors, tiny):
    ids = {
        f"{tower}_model.embeddings.position_ids": np.arange(length)[None]
        for tower, length in (("text", 16), ("vision", 10))
    }
    save_file(tensors | ids, folder / "model.safetensors")
    same_parameters(read_model(folder), tiny, rtol=0)


def test_missing_extra_and_misshaped_weights_are_listed(folder, tensors):
    changed = dict(tensors)
    del changed[NORM]
    changed["text_model.adapter.weight"] = np.zeros(3, np.float32)
    changed[QUERY] = np.zeros((64, 32), np.float32)
    changed["logit_scale"] = np.array(3)
    save_file(changed, folder / "model.safetensors")
    with pytest.raises(UserError) as caught:
        read_model(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'model.safetensors'}: the weights are not those of the")
    assert f"missing: {NORM};" in message
    assert "unexpected: text_model.adapter.weight;" in message
    assert f"wrong shape: {QUERY} is [64, 32], not [64, 64];" in message
    assert "wrong type: logit_scale is I64, not one of F64, F32, F16, BF16;" in message
    assert message.endswith("take both files from the same checkpoint")


def test_long_lists_are_cut(folder, tensors):
    kept = {name: tensor for name, tensor in tensors.items() if "vision" not in name}
    save_file(kept, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"missing: vision_model\.\S+, .* and \d+ more; take both"):
        read_model(folder)


@pytest.mark.parametrize("kept", [0, 5, 4000, 900_000])
def test_a_truncated_file_is_refused(folder, kept):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"model.safetensors: damaged or incomplete .*file again"):
        read_model(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "open_clip.pth"])
def test_pickled_weights_are_refused_with_the_reason(folder, name):
    (folder / "model.safetensors").rename(folder / name)
    with pytest.raises(UserError, match=rf"{name}: pickled .* can execute any code .*; convert it"):
        read_model(folder)


def test_a_folder_without_weights_or_config_is_refused(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model.safetensors: not found, nor model.safetensors.ind"):
        read_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"config.json: not found; a checkpoint folder in Hugging"):
        read_model(folder)


@pytest.mark.parametrize("model_type", ["siglip", "blip"])
def test_another_architecture_is_refused(folder, model_type):
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    message = rf"config.json: model_type '{model_type}', but only 'clip' is supported; give a CLIP"
    with pytest.raises(UserError, match=message):
        read_model(folder)


def test_saving_writes_the_same_layout(tiny, tensors, tmp_path):
    save_model(tiny, tmp_path / "new" / "clip")
    written = load_file(tmp_path / "new" / "clip" / "model.safetensors")
    assert written.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert np.array_equal(written[name], tensor), name
    config = json.loads((tmp_path / "new" / "clip" / "config.json").read_text())
    original = json.loads((TINY / "config.json").read_text())
    assert config["dtype"] == original["dtype"]
    assert config["architectures"] == original["architectures"]
    assert config["text_config"].items() <= original["text_config"].items()
    assert config["vision_config"].items() <= original["vision_config"].items()
    assert sorted(file.name for file in (tmp_path / "new" / "clip").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 1e-3), (ml_dtypes.bfloat16, 8e-3)])
def test_saving_in_half_precision(tiny, tmp_path, dtype, tolerance):
    save_model(tiny, tmp_path, dtype=dtype)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == np.dtype(dtype).name
    assert (tmp_path / "model.safetensors").stat().st_size < 500_000
    same_parameters(read_model(tmp_path), tiny, rtol=tolerance, atol=1e-6)


def test_saving_refuses_what_it_would_spoil(folder, tensors, tmp_path):
    save_file(tensors | {NORM: np.full(64, 1e6, np.float32)}, folder / "model.safetensors")
    model = read_model(folder)
    with pytest.raises(UserError, match=r"text/final_norm/scale has a value of 1e\+06, too large"):
        save_model(model, tmp_path / "half", dtype=np.float16)
    with pytest.raises(UserError, match="cannot save weights as int8; allowed: float32, float16"):
        save_model(model, tmp_path / "half", dtype=np.int8)
    assert not (tmp_path / "half").exists()


def test_compute_dtype_is_the_callers(folder):
    model = read_model(folder, compute_dtype=jax.numpy.bfloat16)
    assert model.compute_dtype == ml_dtypes.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {np.dtype("float32")}


def test_sha256_is_that_of_the_weight_file(folder, tensors):
    content = (folder / "model.safetensors").read_bytes()
    assert checkpoint_sha256(folder) == hashlib.sha256(content).hexdigest()
    names = split_in_shards(folder, tensors)
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    )
    assert checkpoint_sha256(folder) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_local_folder_is_found_as_it_is(folder, monkeypatch):
    assert find_checkpoint(folder) == folder
    assert find_checkpoint(str(folder)) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_checkpoint("~/clip") == folder


def test_a_hub_id_is_downloaded_without_pickles(folder, monkeypatch):
    calls = []

    def snapshot_download(hub_id, **options):
        calls.append((hub_id, options))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert find_checkpoint("openai/clip-vit-base-patch16", "57c2164") == folder
    ((hub_id, options),) = calls
    assert (hub_id, options["revision"]) == ("openai/clip-vit-base-patch16", "57c2164")
    wanted = ["config.json", "model.safetensors", "model-00001-of-00002.safetensors", "merges.txt"]
    unwanted = ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack"]
    kept = huggingface_hub.utils.filter_repo_objects(
        wanted + unwanted, allow_patterns=options["allow_patterns"]
    )
    assert list(kept) == wanted


def test_offline_says_how_to_pass_a_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    message = (
        r"^openai/clip at revision 'v1': there is no such folder here, and the Hugging Face hub "
        r"did not give it \(.*\); check the id and the network, or download the checkpoint "
        r"elsewhere and pass the path of its folder"
    )
    with pytest.raises(UserError, match=message):
        find_checkpoint("openai/clip", revision="v1")


def test_an_unknown_id_says_how_to_pass_a_folder(monkeypatch):
    def snapshot_download(hub_id, **options):
        raise huggingface_hub.errors.HFValidationError("404: no such repository\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(UserError, match=r"HFValidationError: 404: no such repository\); check the"):
        find_checkpoint("nobody/nothing")


@pytest.mark.parametrize("name", ["nowhere", "./a/b", "/no/such/folder", "a/b/c"])
def test_what_is_neither_folder_nor_hub_id_is_refused(name):
    with pytest.raises(UserError, match=f"{name}: no such folder, and not a hub id either"):
        find_checkpoint(name)


def test_a_file_or_a_local_revision_is_refused(folder):
    with pytest.raises(UserError, match=r"model.safetensors is a file; give the folder that holds"):
        find_checkpoint(folder / "model.safetensors")
    with pytest.raises(UserError, match="is a local folder, which has no revision 'main'"):
        find_checkpoint(folder, revision="main")


def test_a_number_is_read_in_any_shape(folder, tensors, tiny):
    for shape in ((1,), (1, 1)):
        changed = tensors | {"logit_scale": np.reshape(tensors["logit_scale"], shape)}
        save_file(changed, folder / "model.safetensors")
        same_parameters(read_model(folder), tiny, rtol=0)
    save_file(tensors | {"logit_scale": np.zeros(2, np.float32)}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"wrong shape: logit_scale is \[2\], not \[\]"):
        read_model(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("name", [QUERY, "logit_scale"])
def test_weights_that_are_not_finite_are_refused(folder, tensors, name, value):
    changed = {key: np.asarray(tensor, np.float64).copy() for key, tensor in tensors.items()}
    changed[name][(0,) * changed[name].ndim] = value
    save_file(changed, folder / "model.safetensors")
    with pytest.raises(UserError, match=f"safetensors: {name} has values that are no finite"):
        read_model(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["model.fp16.safetensors"], r"fp16\.safetensors: a variant of .* rename it to model\.saf"),
        (["open_clip_pytorch_model.bin"], r"open_clip_pytorch_model\.bin: pickled weights are ref"),
    ],
)
@pytest.mark.parametrize("config", [True, False])
def test_other_layouts_are_told_what_to_do(folder, names, message, config):
    (folder / "model.safetensors").unlink()
    if not config:
        (folder / "config.json").unlink()
    for name in names:
        (folder / name).write_text("{}")
    with pytest.raises(UserError, match=message):
        read_model(folder)


def test_a_repository_of_pickles_names_revision_and_converter(folder, monkeypatch):
    (folder / "model.safetensors").unlink()
    hub = {"snapshot_download": lambda *a, **k: str(folder)}
    hub["list_repo_files"] = lambda *a, **k: ["config.json", "pytorch_model.bin"]
    for name, function in hub.items():
        monkeypatch.setattr(huggingface_hub, name, function)
    message = r"^a/b at revision main: pytorch_model\.bin: pickled .* convert it .* refs/pr/<numb"
    with pytest.raises(UserError, match=message):
        find_checkpoint("a/b")

    def offline(*args, **kwargs):
        raise OSError("offline")

    monkeypatch.setattr(huggingface_hub, "list_repo_files", offline)
    with pytest.raises(UserError, match=r"^a/b at revision v2: holds no model\.safetensors; give"):
        find_checkpoint("a/b", "v2")


def test_a_known_repository_of_pickles_is_read_at_its_converted_revision(folder, monkeypatch):
    revisions = []

    def snapshot_download(hub_id, revision, **options):
        revisions.append(revision)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    for asked in (None, "main"):
        find_checkpoint("openai/clip-vit-base-patch32", asked)
    assert revisions == ["c237dc49a33fc61debc9276459120b7eac67e7ef", "main"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_pointers_of_git_lfs_are_named(folder, name):
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(UserError, match=f"{name}: a pointer of Git LFS"):
        read_model(folder)


def test_the_home_folder(tiny, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    save_model(tiny, "~/new")
    assert (folder.parent / "new" / "model.safetensors").is_file()
    same_parameters(read_model("~/new"), tiny, rtol=0)
    assert checkpoint_sha256("~/new") == checkpoint_sha256(folder.parent / "new")
