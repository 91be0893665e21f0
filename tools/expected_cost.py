"""What the tables of experiments/tcr_table.py cost, by arithmetic: nothing here is measured.

python -m tools.expected_cost

A product of [a, b] and [b, c] matrices counts 2abc operations. A transformer of L layers of width d
needs per item of n tokens L * (24 n d^2 + 4 n^2 d): projections and MLP, then attention. LayerNorm
parameters alone learn, so a backward pass needs gradients of activations, not of matrices: as much
as a forward pass. docs/reproduce.md has the table, which a test holds against this.
"""

from typing import NamedTuple

from tabulate import tabulate

PASSES = {
    # Forward and backward passes over a batch: three steps of one each; none has one forward.
    "none": 1,
    "tent": 6,
    "eata": 6,
    "sar": 12,  # two gradients a step
    "read": 6,
    "deyo": 9,  # one more forward pass a step, over shuffled patches or words
    "tcr": 6,
    "reex": 6,
}
SHARE = 0.3
"""Of a device's peak that such a program may be hoped to reach."""

# Dense peak of matrix products in the precision that `precision=auto` takes, operations a second.
DEVICES = {"H100 (bfloat16)": 989e12, "A100 (bfloat16)": 312e12, "L4 (bfloat16)": 121e12}
BATCH = 64


class Tower(NamedTuple):
    """A transformer: layers, width, heads, and the tokens of an item."""

    layers: int
    width: int
    heads: int
    tokens: int

    def operations(self) -> float:
        """Of one item's forward pass."""
        n, d = self.tokens, self.width
        return self.layers * (24 * n * d**2 + 4 * n**2 * d)

    def activation_bytes(self, size: int = 2) -> float:
        """What the backward pass of one item keeps, at least.

        Inputs of two LayerNorms (2d), queries, keys and values (3d), the MLP's inner values (4d),
        in `size` bytes each, and float32 attention weights.
        """
        per_token = 9 * self.width * size + self.heads * self.tokens * 4
        return float(self.layers * self.tokens * per_token)


class Part(NamedTuple):
    """A part of the tables: its query tower, queries a stream, and streams."""

    tower: Tower
    queries: int
    streams: int


PARTS = {
    # 384 pixels in patches of 16 and one class token; captions of at most 35 tokens.
    "images (BLIP ViT-B/16)": Part(Tower(12, 768, 12, 577), 5_000, 16),
    "images, large (BLIP ViT-L/16)": Part(Tower(24, 1024, 16, 577), 5_000, 16),
    "texts and sentences (BLIP)": Part(Tower(12, 768, 12, 35), 25_000, 15),
    "clip, image queries": Part(Tower(12, 768, 12, 197), 5_000, 1),
    "clip, caption queries": Part(Tower(12, 512, 8, 77), 25_000, 1),
}


def operations(part: Part) -> float:
    """Of all eight methods over all streams."""
    return part.tower.operations() * part.queries * part.streams * sum(PASSES.values())


def cost_table() -> str:
    """Markdown: operations, hours a device, and memory for a batch's activations."""
    rows = []
    for name, part in PARTS.items():
        total = operations(part)
        hours = [f"{total / (SHARE * peak) / 3600:.2g}" for peak in DEVICES.values()]
        memory = f"{BATCH * part.tower.activation_bytes() / 2**30:.2g}"
        rows.append([name, f"{total:.1e}", *hours, memory])
    heads = ["part", "operations", *(f"hours, {name}" for name in DEVICES), "GiB"]
    align = ["left"] + (len(heads) - 1) * ["right"]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=align)


if __name__ == "__main__":
    print(cost_table())
