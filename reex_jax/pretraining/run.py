"""Trains a small CLIP on generated scenes and writes it as a Hugging Face folder."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from reex_jax.checkpoints import open_checkpoints
from reex_jax.errors import UserError
from reex_jax.models.clip.checkpoint import read_model, save_model
from reex_jax.models.clip.config import ClipConfig, TextConfig, VisionConfig
from reex_jax.models.clip.model import ClipModel
from reex_jax.models.clip.tokenizer import Tokenizer
from reex_jax.models.transformer import compute_dtype
from reex_jax.pretraining import vocabulary
from reex_jax.pretraining.batches import BatchSource, training_batches
from reex_jax.pretraining.loop import LoopSettings, data_mesh, train
from reex_jax.pretraining.step import (
    PixelAugmentation,
    PixelScaling,
    make_optimizer,
    make_train_step,
)
from reex_jax.settings.pretraining import Pretraining


def make_tokenizer(config: Pretraining) -> tuple[Tokenizer, Path]:
    """The tokenizer, cutting texts at config.text_length, and the folder of its files.

    That of `config.init` where training starts from a checkpoint; else it is trained into the
    working folder, unless a run before has done so.
    """
    folder = Path(config.init) if config.init else Path(config.workdir) / "tokenizer"
    if not config.init and not (folder / "tokenizer_config.json").exists():
        settings = config.vocabulary
        texts = vocabulary.training_texts(settings.num_scenes, settings.num_words, config.seed)
        merges = vocabulary.train_merges(texts, settings.num_merges)
        positions = config.model.text.max_position_embeddings
        vocabulary.write_vocabulary(folder, merges, positions)
    return Tokenizer.load(folder, max_length=config.text_length), folder


def make_clip_config(config: Pretraining, tokenizer: Tokenizer) -> ClipConfig:
    """The shape of the model; MLPs are four times as wide as the towers."""
    vision, text = config.model.vision, config.model.text
    return ClipConfig(
        vision=VisionConfig(**vision.to_dict(), intermediate_size=4 * vision.hidden_size),
        text=TextConfig(
            **text.to_dict(),
            intermediate_size=4 * text.hidden_size,
            vocab_size=tokenizer.largest_id + 1,
            bos_token_id=tokenizer.start_id,
            eos_token_id=tokenizer.end_id,
            pad_token_id=tokenizer.padding_id,
        ),
        projection_dim=config.model.projection_dim,
    )


def fixed_length_ids(tokenizer: Tokenizer, captions: Sequence[str]) -> np.ndarray:
    """Ids [n, tokenizer.max_length] int32: one length for every batch, so one compilation."""
    rows, _ = tokenizer.encode(captions)
    return tokenizer.pad(rows, tokenizer.max_length)


def write_export(model: ClipModel, config: Pretraining, tokenizer: Path, folder: Path) -> None:
    """A checkpoint folder that `load_clip` and transformers read; weights in float16."""
    save_model(model, folder, dtype=np.float16)
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)
    size = config.model.vision.image_size
    settings = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": size},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": size, "width": size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(config.pixels.mean),
        "image_std": list(config.pixels.std),
        "do_convert_rgb": True,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "preprocessor_config.json").write_text(text, "utf-8")


def pretrain(config: Pretraining) -> Path:
    """Runs the whole training, or what is left of it; returns the exported folder.

    Raises:
        UserError: an `init` that is no folder (before any work), a checkpoint of another
            configuration, or a loss that is not finite.
    """
    if config.init and not Path(config.init).is_dir():
        raise UserError(
            f"init is {config.init!r}, which is no folder; run the training that exports it first, "
            "or leave init empty to start from nothing"
        )
    workdir = Path(config.workdir)
    mesh = data_mesh(config.batch_size)
    tokenizer, tokenizer_folder = make_tokenizer(config)
    dtype = compute_dtype(config.precision)
    clip_config = make_clip_config(config, tokenizer)
    if config.init:
        model = read_model(config.init, compute_dtype=dtype)
    else:
        model = ClipModel(clip_config, compute_dtype=dtype, rngs=nnx.Rngs(config.seed))
    if model.config != clip_config:
        raise UserError(f"init: the model of {config.init} has another shape than this config")
    graphdef, params = nnx.split(model)
    optimizer = make_optimizer(num_steps=config.num_steps, **config.optimizer.to_dict())
    scaling = PixelScaling(config.model.vision.image_size, config.pixels.mean, config.pixels.std)
    changes = config.augmentation
    pixel_changes = PixelAugmentation(changes.brightness, changes.contrast, changes.noise)
    step_fn = make_train_step(graphdef, optimizer, scaling, pixel_changes)
    source = BatchSource(
        config.seed,
        config.batch_size,
        lambda captions: fixed_length_ids(tokenizer, captions),
        changes.split_percent,
        changes.drop_percent,
    )
    settings = LoopSettings(config.num_steps, config.report_every, config.save_every, config.seed)
    with open_checkpoints(workdir / "checkpoints") as manager:
        params = train(
            step_fn,
            params,
            optimizer.init(params),
            lambda first: training_batches(source, first, config.num_steps),
            settings,
            manager,
            mesh,
        )
    export = workdir / "export"
    write_export(nnx.merge(graphdef, jax.device_get(params)), config, tokenizer_folder, export)
    return export
