"""Every setting of the training of the bundled model."""

from dataclasses import dataclass

from reex_jax.errors import UserError
from reex_jax.settings.checks import LARGE, filled_path, integer, number, numbers, one_of, path
from reex_jax.settings.choices import PRECISIONS
from reex_jax.settings.fields import Settings, section, setting
from reex_jax.settings.machine import Machine


@dataclass(frozen=True)
class Augmentation(Settings):
    """How rough the training data are."""

    brightness: float = setting(0.1, "largest change, in standard deviations", number(0, 100))
    contrast: float = setting(0.1, "largest change, as a share", number(0, 100))
    noise: float = setting(0.0, "largest standard deviation of pixel noise", number(0, 100))
    split_percent: int = setting(0, "of words that are cut into pieces", integer(0, 100))
    drop_percent: int = setting(0, "of words that are left out", integer(0, 100))


@dataclass(frozen=True)
class Optimizer(Settings):
    """Muon and AdamW."""

    learning_rate: float = setting(2e-3, "at its height", number(0, 10, above=True))
    warmup_steps: int = setting(100, "until it is reached", integer(0))
    weight_decay: float = setting(0.01, "decoupled", number(0, 10))


@dataclass(frozen=True)
class Vocabulary(Settings):
    """What the tokenizer is trained on."""

    num_merges: int = setting(2000, "of byte pairs", integer(1))
    num_scenes: int = setting(4000, "whose captions are read", integer(1))
    num_words: int = setting(20000, "English words that are read", integer(1))


@dataclass(frozen=True)
class Pixels(Settings):
    """How pixels are normalised."""

    mean: tuple[float, float, float] = setting(
        (0.5, 0.5, 0.5), "of each colour", numbers(3, number(0, 1))
    )
    std: tuple[float, float, float] = setting(
        (0.25, 0.25, 0.25), "of each colour", numbers(3, number(0, 1, above=True))
    )


@dataclass(frozen=True)
class Tower(Settings):
    """What both towers have; their MLPs are four times as wide."""

    hidden_size: int = setting(128, "width", integer(1))
    num_hidden_layers: int = setting(3, "blocks", integer(1, 1000))
    num_attention_heads: int = setting(4, "must divide the width", integer(1))

    def check_together(self) -> None:
        """Refuses heads that do not divide the width."""
        if self.hidden_size % self.num_attention_heads:
            name = type(self).__name__.removesuffix("Tower").lower()
            raise UserError(
                f"model.{name}.hidden_size is {self.hidden_size}, which "
                f"{self.num_attention_heads} heads (num_attention_heads) do not divide"
            )


@dataclass(frozen=True)
class VisionTower(Tower):
    """Reads pictures."""

    image_size: int = setting(48, "pixels a side", integer(1))
    patch_size: int = setting(8, "pixels a side", integer(1))

    def check_together(self) -> None:
        """Refuses patches larger than the picture."""
        super().check_together()
        if self.patch_size > self.image_size:
            raise UserError(
                f"model.vision.patch_size is {self.patch_size}; it must be at most "
                f"model.vision.image_size, {self.image_size}"
            )


@dataclass(frozen=True)
class TextTower(Tower):
    """Reads captions."""

    max_position_embeddings: int = setting(77, "tokens at most", integer(3))


@dataclass(frozen=True)
class Model(Settings):
    """The shape of the model."""

    projection_dim: int = setting(128, "width of the embeddings", integer(1))
    vision: VisionTower = section(VisionTower, "reads pictures")
    text: TextTower = section(TextTower, "reads captions")


@dataclass(frozen=True)
class Pretraining(Settings):
    """A training run; by default the first stage of the bundled model."""

    workdir: str = setting("pretraining", "folder of checkpoints and export", filled_path)
    seed: int = setting(0, "of scenes and of the first parameters", integer(0))
    batch_size: int = setting(128, "scenes a step", integer(1, 65536))
    num_steps: int = setting(4000, "updates", integer(1))
    report_every: int = setting(50, "steps", integer(1))
    save_every: int = setting(300, "steps", integer(1))
    init: str = setting("", "folder of a checkpoint to start from; '': from nothing", path)
    augmentation: Augmentation = section(Augmentation, "how rough the data are")
    text_length: int = setting(32, "tokens of a caption, start and end included", integer(3))
    precision: str = setting("auto", "of matrix products", one_of(PRECISIONS))
    optimizer: Optimizer = section(Optimizer, "how the parameters move")
    vocabulary: Vocabulary = section(Vocabulary, "what the tokenizer is trained on")
    pixels: Pixels = section(Pixels, "how pixels are normalised")
    model: Model = section(Model, "its shape")
    machine: Machine = section(Machine, "where it runs")

    def check_together(self) -> None:
        """Refuses a schedule that does not fit, and captions that the model cannot hold."""
        positions = self.model.text.max_position_embeddings
        if self.text_length > positions:
            raise UserError(
                f"text_length is {self.text_length}; it must be at most "
                f"model.text.max_position_embeddings, {positions}"
            )
        warmup = self.optimizer.warmup_steps
        if warmup >= self.num_steps:
            raise UserError(
                f"optimizer.warmup_steps is {warmup}; it must be less than num_steps, "
                f"{self.num_steps}, since the learning rate falls after it"
            )
        if self.batch_size * self.num_steps > LARGE:  # scenes are numbered by 31 bits
            raise UserError(
                f"num_steps is {self.num_steps}; with batch_size {self.batch_size} there are "
                f"scenes for {LARGE // self.batch_size} steps"
            )
