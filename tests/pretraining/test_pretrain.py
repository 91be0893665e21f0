"""Pretraining end to end at toy size: it learns, resumes exactly, and exports what loads."""

from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from PIL import Image

from reex_jax.datasets import scenes
from reex_jax.datasets.scene_world import Dice
from reex_jax.errors import UserError
from reex_jax.models.clip.api import load_clip
from reex_jax.pretraining.batches import BatchSource, roughen, training_batches
from reex_jax.pretraining.run import pretrain
from reex_jax.pretraining.step import PixelScaling, contrastive_loss, to_pixels
from reex_jax.pretraining.vocabulary import train_merges
from reex_jax.settings.pretraining import Pretraining


def toy_config(workdir, num_steps: int) -> Pretraining:
    tower = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return Pretraining.from_dict(
        {
            "workdir": str(workdir),
            "seed": 0,
            "batch_size": 16,
            "num_steps": num_steps,
            "report_every": 2,
            "save_every": 2,
            "init": "",
            "augmentation": {
                "brightness": 0.1,
                "contrast": 0.1,
                "noise": 0.1,
                "split_percent": 10,
                "drop_percent": 10,
            },
            "text_length": 24,
            "precision": "float32",
            "optimizer": {"learning_rate": 1e-3, "warmup_steps": 1, "weight_decay": 0.01},
            "vocabulary": {"num_merges": 50, "num_scenes": 20, "num_words": 100},
            "pixels": {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)},
            "model": {
                "projection_dim": 8,
                "vision": {**tower, "image_size": 32, "patch_size": 16},
                "text": {**tower, "max_position_embeddings": 32},
            },
        }
    )


def test_resumed_run_ends_as_an_uninterrupted_one(tmp_path, capsys):
    config = toy_config(tmp_path / "whole", 4)
    whole = load_clip(pretrain(config))
    config = toy_config(tmp_path / "parts", 4)
    # Stops after step 2, as if killed: the schedule is still that of four steps.
    with pytest.raises(KeyboardInterrupt):
        pretrain_until(config, 2)
    resumed = load_clip(pretrain(config))
    assert "resumed after step 2" in capsys.readouterr().out
    texts = ["a red ring", "a blue star above a heart"]
    np.testing.assert_array_equal(whole.encode_texts(texts), resumed.encode_texts(texts))
    images = [Image.fromarray(scenes.image("test", 0, 0))]
    np.testing.assert_array_equal(whole.encode_images(images), resumed.encode_images(images))

    config = toy_config(tmp_path / "second", 4)
    config = replace(config, init=str(tmp_path / "whole" / "export"))
    second = load_clip(pretrain(config))
    assert not np.array_equal(second.encode_texts(texts), whole.encode_texts(texts))
    config = toy_config(tmp_path / "third", 2)
    export = str(tmp_path / "whole" / "export")
    config = replace(config, init=export, model=replace(config.model, projection_dim=4))
    with pytest.raises(UserError, match="another shape than this config"):
        pretrain(config)


def pretrain_until(config: Pretraining, step: int) -> None:
    """Runs `pretrain` with batches that end in an interruption after `step`."""

    def interrupted(source, first, num_steps):
        yield from training_batches(source, first, step)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reex_jax.pretraining.run.training_batches", interrupted)
        pretrain(config)


def test_batch_must_divide_over_devices(tmp_path):
    config = toy_config(tmp_path, 2)
    config = replace(config, batch_size=12)
    with pytest.raises(UserError, match="batch_size 12 cannot be split over 8 devices"):
        pretrain(config)


def test_checkpoint_of_another_model_is_refused(tmp_path):
    pretrain(toy_config(tmp_path, 2))
    config = toy_config(tmp_path, 2)
    config = replace(config, model=replace(config.model, projection_dim=4))
    with pytest.raises(UserError, match="does not fit this configuration"):
        pretrain(config)


def test_contrastive_loss_by_hand():
    images = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    texts = np.array([[0.6, 0.8], [0.8, 0.6]], np.float32)
    logits = 10.0 * images.astype(np.float64) @ texts.T
    rows = -np.log(np.exp(np.diag(logits)) / np.exp(logits).sum(1)).mean()
    columns = -np.log(np.exp(np.diag(logits)) / np.exp(logits).sum(0)).mean()
    loss = contrastive_loss(images, texts, np.float32(np.log(10.0)))
    assert float(loss) == pytest.approx((rows + columns) / 2, rel=1e-5)


def test_training_pixels_match_pillow():
    image = scenes.image("test", 0, 3)
    scaling = PixelScaling(48, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    ours = np.asarray(to_pixels(jax.numpy.asarray(image[None]), scaling))[0] * 0.25 + 0.5
    # Mode F: no rounding to grey levels between Pillow's two passes.
    channels = [Image.fromarray(image[:, :, c].astype(np.float32) / 255) for c in range(3)]
    pillow = np.stack([c.resize((48, 48), Image.Resampling.BICUBIC) for c in channels], axis=2)
    np.testing.assert_allclose(ours, np.clip(pillow, 0, 1), atol=1e-5)


def test_batches_depend_on_the_step_alone():
    source = BatchSource(0, 4, lambda captions: np.array([[len(c)] for c in captions]), 20, 20)
    whole = list(training_batches(source, 0, 5))
    tail = list(training_batches(source, 3, 5))
    assert len(whole) == 5 and len(tail) == 2
    for a, b in zip(whole[3:], tail, strict=True):
        np.testing.assert_array_equal(a["images"], b["images"])
        np.testing.assert_array_equal(a["ids"], b["ids"])


def test_roughen_splits_and_drops_but_never_empties():
    text = "a crimson rhombus above a ring"
    assert roughen(text, Dice(0, 0, 0), 0, 0) == text
    assert roughen(text, Dice(0, 0, 0), 0, 100) == text
    split = roughen(text, Dice(0, 0, 0), 100, 0)
    assert split.replace(" ", "") == text.replace(" ", "")
    assert len(split.split()) == 6 + 4  # four words have four letters or more


def test_merges_by_hand():
    """In "ab ab ab ac" the pair (a, b</w>) is the most frequent, (a, c</w>) the next."""
    assert train_merges(["ab ab ab ac"], 2) == [("a", "b</w>"), ("a", "c</w>")]


def test_muon_moves_matrices_and_adam_the_rest():
    """Every parameter of the toy model changes in one step: none is left out by mistake."""
    from flax import nnx

    from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
    from reex_jax.models.clip.model import ClipModel
    from reex_jax.pretraining.step import make_optimizer

    tower = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = ClipConfig(
        vision=VisionConfig(**tower, intermediate_size=32, image_size=16, patch_size=8),
        text=TextConfig(
            **tower, intermediate_size=32, vocab_size=20, max_position_embeddings=8, eos_token_id=19
        ),
        projection_dim=8,
    )
    params = nnx.state(ClipModel(config, rngs=nnx.Rngs(0)))
    optimizer = make_optimizer(1e-2, 1, 10, 0.0)
    state = optimizer.init(params)
    gradients = jax.tree.map(lambda p: jax.random.normal(jax.random.key(1), p.shape), params)
    moved = params
    update = jax.jit(optimizer.update)
    for _ in range(2):  # the warm-up starts at zero
        with jax.numpy_dtype_promotion("standard"):  # optax needs it
            updates, state = update(gradients, state, moved)
        moved = optax.apply_updates(moved, updates)
    changes = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), params, moved)
    assert all(1e-5 < change < 1 for change in jax.tree.leaves(changes))
