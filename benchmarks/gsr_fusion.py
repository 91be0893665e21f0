"""Recall of repaired queries on scenes under each fusion rule, unadapted model.

    python -m benchmarks.gsr_fusion                                  # the tables of docs/results.md
    python -m benchmarks.gsr_fusion --examples docs/gsr_examples.md  # and the page of examples

Prints recall@1 of captions searching images: clean, character noise, word noise, for an embedded
rewriter and for one that drifts. About five minutes on two cores; `--every 5` takes a fifth of the
captions. Constants of fusion can be set as in a run: `--set lost_rate=20`.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

from reex_jax import Clip, load_clip
from reex_jax.corruptions.text.kinds import TEXT_CORRUPTIONS, corrupt_text
from reex_jax.datasets.retrieval_set import RetrievalSet
from reex_jax.datasets.scene_captions import COLOUR_WORDS, SHAPE_WORDS
from reex_jax.datasets.scenes import load_scenes
from reex_jax.gsr.comparison import TextEmbeddings, compare_fusions
from reex_jax.gsr.dictionary import Dictionary, load_dictionary
from reex_jax.gsr.drifting import DriftingRewriter
from reex_jax.gsr.features import features_of
from reex_jax.gsr.repair import Repair, Rewriter
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.retrieval.gallery import Gallery, embed_gallery
from reex_jax.retrieval.metrics import retrieval_metrics
from reex_jax.settings.choices import EMBEDDED, FUSION_NAMES, TEXT_TO_IMAGE
from reex_jax.settings.repair import FusionSettings, RepairSettings

SEVERITY = 5
CHARACTER = tuple(
    kind
    for kind in ("ocr", "keyboard", "insert", "replace", "swap", "delete")
    if kind in TEXT_CORRUPTIONS
)
GROUPS = {
    "clean": ("clean",),
    "character": CHARACTER,
    "word": ("word_swap", "word_deletion", "punctuation_insertion"),
}
COLUMNS = ("original", "replace", "fixed", "dynamic")


@dataclass(frozen=True)
class RepairedStream:
    """The queries of one kind and seed with their repairs, and how each rule did."""

    kind: str
    seed: int
    repairs: list[Repair]
    found: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def recall(self, rule: str) -> float:
        return retrieval_metrics(self.found[rule][0])["recall@1"]


@dataclass(frozen=True)
class Bench:
    """The model, its gallery and the captions that are asked."""

    clip: Clip
    data: RetrievalSet
    gallery: Gallery
    positions: list[int]
    embed: TextEmbeddings
    dictionary: Dictionary
    fusion: FusionSettings

    def stream(self, rewriter: Rewriter, kind: str, seed: int) -> RepairedStream:
        queries = [self.query(position, kind, seed) for position in self.positions]
        by_text = {item.text: item for item in rewriter.rewrite(list(dict.fromkeys(queries)))}
        repairs = [by_text[query] for query in queries]
        found = compare_fusions(
            self.embed(queries),
            self.embed([item.repaired for item in repairs]),
            features_of(repairs, self.dictionary.counts),
            self.gallery.embeddings,
            self.data.answers(TEXT_TO_IMAGE)[self.positions],
            float(np.exp(-self.clip.model.logit_scale[...])),
            self.fusion,
        )
        return RepairedStream(kind, seed, repairs, found)

    def query(self, position: int, kind: str, seed: int) -> str:
        caption, identity = self.data.captions[position], self.data.caption_ids[position]
        if kind == "clean":
            return caption
        return corrupt_text(caption, kind, SEVERITY, item_id=identity, seed=seed)


def prepare(data_seed: int, every: int, fusion: FusionSettings) -> Bench:
    clip = load_clip("bundled")
    data = load_scenes(1000, split="test", seed=data_seed)
    gallery = embed_gallery(
        clip.encode_images, data.images, data.image_ids, batch_size=clip.batch_size
    )
    positions = list(range(0, len(data.captions), every))
    embed = TextEmbeddings(clip.encode_texts)
    return Bench(clip, data, gallery, positions, embed, load_dictionary(), fusion)


def measure(bench: Bench, rewriter: Rewriter, seeds: tuple[int, ...]) -> Iterator[RepairedStream]:
    for group, kinds in GROUPS.items():
        for kind in kinds:
            for seed in seeds[:1] if group == "clean" else seeds:
                yield bench.stream(rewriter, kind, seed)


def group_table(streams: list[RepairedStream], seeds: tuple[int, ...]) -> str:
    """Mean over kinds, then mean and standard deviation over seeds."""
    rows = []
    for group, kinds in GROUPS.items():
        row = [group]
        for rule in COLUMNS:
            means = [
                np.mean([s.recall(rule) for s in streams if s.kind in kinds and s.seed == seed])
                for seed in (seeds[:1] if group == "clean" else seeds)
            ]
            spread = f" ± {np.std(means, ddof=1):.2f}" if len(means) > 1 else ""
            row.append(f"{np.mean(means):.2f}{spread}")
        rows.append(row)
    return tabulate(rows, ("queries", *COLUMNS), tablefmt="github", disable_numparse=True)


def kind_table(streams: list[RepairedStream]) -> str:
    """Mean over seeds for each kind."""
    rows = []
    for kind in dict.fromkeys(s.kind for s in streams):
        of_kind = [s for s in streams if s.kind == kind]
        recalls = [f"{np.mean([s.recall(rule) for s in of_kind]):.1f}" for rule in COLUMNS]
        rows.append([kind, *recalls])
    return tabulate(rows, ("queries", *COLUMNS), tablefmt="github", disable_numparse=True)


def example_page(streams: list[RepairedStream], seed: int, rewriter: str, command: str) -> str:
    """Twenty queries at fixed places of the streams, not chosen by how they turned out."""
    chosen = [s for s in streams if s.seed == seed]
    rows = []
    for number in range(20):
        stream = chosen[number % len(chosen)]
        at = (number * 241 + 17) % len(stream.repairs)
        item = stream.repairs[at]
        before, after = (stream.found[rule][0][at, 0] + 1 for rule in ("original", "dynamic"))
        weight = stream.found["dynamic"][1][at]
        cells = [text.replace("|", "\\|") for text in (item.text, item.repaired)]
        if item.repaired == item.text:
            cells[1] = "(unchanged)"
        rows.append([stream.kind, *cells, f"{item.generation:.2f}", f"{weight:.2f}", before, after])
    names = ("kind", "query", "repaired", "confidence", "weight", "rank before", "rank after")
    table = tabulate(rows, names, tablefmt="github", disable_numparse=True)
    return (
        "# Twenty repaired queries\n\n"
        "Made by\n\n"
        f"    {command}\n\n"
        f"from captions of scenes at fixed places of each stream (severity {SEVERITY}, seed {seed})"
        ", not\nchosen by how they turned out. Confidence: generation confidence of "
        f"`{rewriter}`. "
        "Weight: of the\nrepair in the fused query (`dynamic`). Ranks: of the right image among "
        "1,000, 1 is best, with the\nquery as it arrived and with the fused one.\n\n"
        f"{table}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-seed", type=int, default=0, help="which scenes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the noise")
    parser.add_argument("--every", type=int, default=1, help="take each n-th caption only")
    parser.add_argument("--examples", type=Path, help="write the page of examples here")
    parser.add_argument("--rewriter", choices=EMBEDDED, default=EMBEDDED[0])
    parser.add_argument("--set", nargs="*", default=[], help="constants of fusion, NAME=NUMBER")
    arguments = parser.parse_args()
    assert set(COLUMNS) == set(FUSION_NAMES)

    seeds = tuple(arguments.seeds)
    constants = dict(item.split("=") for item in arguments.set)
    fusion = FusionSettings(**{name: float(value) for name, value in constants.items()})
    bench = prepare(arguments.data_seed, arguments.every, fusion)
    name = arguments.rewriter
    embedded = make_rewriter(RepairSettings(rewriter=name), bench.dictionary)
    texts = [bench.query(position, CHARACTER[0], seeds[0]) for position in bench.positions]
    list(embedded.rewrite(["the indxe is made on first use"]))
    began = time.process_time()
    count = len(list(embedded.rewrite(texts)))
    speed = count / (time.process_time() - began)
    print(f"{name}: {speed:.0f} captions/s of {CHARACTER[0]} {SEVERITY} on one core\n")

    words = tuple(
        tuple(sorted({word for group in groups.values() for word in group if word.isalpha()}))
        for groups in (SHAPE_WORDS, COLOUR_WORDS)
    )
    streams = list(measure(bench, embedded, seeds))
    print(f"{name}, recall@1, {len(bench.positions)} queries a stream:\n")
    print(f"{group_table(streams, seeds)}\n\n{kind_table(streams)}\n")
    drifting = list(measure(bench, DriftingRewriter(embedded, words), seeds))
    print(f"a rewriter that drifts in a third of its replies:\n\n{group_table(drifting, seeds)}")
    if arguments.examples:
        command = f"python -m benchmarks.gsr_fusion {shlex.join(sys.argv[1:])}"
        arguments.examples.write_text(example_page(streams, seeds[0], name, command), "utf-8")


if __name__ == "__main__":
    main()
