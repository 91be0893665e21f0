"""One process of several that adapt together, for test_hosts.py; started as a program.

python one_of_several.py INDEX COUNT PORT FOLDER QUERY METHODS
"""

import os
import sys
from pathlib import Path

import jax
import numpy as np

from reex_jax import Adapter, load_clip
from reex_jax.commands.processes import join
from reex_jax.errors import UserError
from reex_jax.settings.gallery import GallerySettings
from reex_jax.settings.machine import Machine
from tests.adaptation.conftest import WIDTH, ToyStream, draw_unit_rows
from tests.adaptation.test_devices import SETTINGS as METHODS

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
BATCH, SIZES = 16, (16, 13, 5)
SETTINGS = {"method": "reex", "batch_size": BATCH, "steps": 2, "learning_rate": 1e-2}


def data(query: str) -> tuple[np.ndarray, np.ndarray]:
    """Queries of all batches, and the gallery."""
    with np.load(GOLDEN / "golden.npz") as golden:
        if query == "image":
            return golden["images"].transpose(0, 2, 3, 1), golden["text_embeds"]
        # So turned that in each batch the processes' texts differ in length, and agree on the same
        # one: another length would be another program to compile.
        return np.roll(golden["tokens"], -23, axis=0).astype(np.int32), golden["image_embeds"]


def shortened(ids: np.ndarray) -> np.ndarray:
    """Token ids without the padding that all of them have; pixels as they are."""
    if ids.ndim != 2:
        return ids
    ends = (ids == ids.max()).argmax(axis=1)  # the end token has the largest id
    return ids[:, : ends.max() + 1]


def adapted(adapter: Adapter, query: str, index: int, count: int) -> dict[str, np.ndarray]:
    """What process `index` of `count` finds: ranks of its part of each batch, and the state."""
    queries, gallery = data(query)
    found, start, share = {}, 0, BATCH // count
    for number, size in enumerate(SIZES):
        places = np.arange(start, start + size)[index * share : (index + 1) * share]
        answers = (places[:, None] * 7) % len(gallery)
        # One without a part repeats a query, as padding.
        own = shortened(queries[places if places.size else [start]])
        ranks, how = adapter.ranks(own, answers.astype(np.int32))
        found |= {f"{name}{number}": value for name, value in ranks.items()}
        found[f"loss{number}"] = np.float32(how["loss"])
        start += size
    own = shortened(probes(query, index, count))
    found["scores"] = adapter.similarities(own, learn=False)
    found |= {f"state{i}": leaf for i, leaf in enumerate(jax.tree.leaves(adapter.state))}
    return jax.device_get(found)


def probes(query: str, index: int, count: int) -> np.ndarray:
    """What process `index` of `count` asks without learning; other queries than the others."""
    return data(query)[0][index::count][:3]


def searched(adapter: Adapter, queries: np.ndarray, saved: Path) -> dict[str, np.ndarray]:
    """What an adapter finds that has learned elsewhere, and whose gallery grows and shrinks."""
    before = adapter.search(shortened(queries), k=7, learn=False)
    # No place is free: all rows move. What was saved says nothing of the new items.
    adapter.add(["a", "b", "c"], draw_unit_rows(3, 3, adapter.gallery.shape[1]))
    adapter.restore(saved)
    answers = np.tile(np.array([[3, 90]], np.int32), (len(queries), 1))
    ranks, _ = adapter.ranks(shortened(queries), answers, learn=False)
    found = {f"where {name}": value for name, value in ranks.items()}
    adapter.remove(["5", "17"])
    after = adapter.rank(adapter.embed(shortened(queries)), k=9)
    for name, result in (("before", before), ("after", after)):
        found |= {f"{name} indices": result.indices, f"{name} scores": result.scores}
    found |= {"all correction": adapter.correction(), "all gallery": adapter.gallery}
    return jax.device_get(found)


def toys(names: list[str], split: bool) -> dict[str, np.ndarray]:
    """What methods learn from two batches around the toy encoder, on all devices."""
    found = {}
    for name in names:
        stream = ToyStream(
            name.split(",")[0],
            rows=16,
            devices=jax.device_count() if split else 1,
            split=split,
            steps=2,
            **METHODS[name],
        )
        for seed, size in ((1, 16), (2, 11)):
            queries = np.random.default_rng(seed).normal(size=(size, WIDTH)).astype(np.float32)
            embeddings, diagnostics = stream(queries)
            found[f"{name}: scores {seed}"] = embeddings @ draw_unit_rows(1, 30, WIDTH).T
            found[f"{name}: losses {seed}"] = np.array(diagnostics, np.float32)
        found[f"{name}: mass"] = stream.state.calibration.log_mass[:30]
        found |= {f"{name}: {k}": leaf for k, leaf in stream.state.parameters.items()}
    return found


def main(index: int, count: int, port: str, folder: Path, query: str, names: str) -> None:
    join(Machine(coordinator=f"127.0.0.1:{port}", processes=count, process=index))
    model = load_clip(GOLDEN / "clip_tiny", precision="float32")
    adapter = Adapter(model, data(query)[1], query=query, devices=0, **SETTINGS)
    found = adapted(adapter, query, index, count)
    # Only the first process can read and write the folder, as on hosts with disks of their own.
    saved = folder / "saved" if index == 0 else Path(os.devnull) / "nowhere"
    adapter.save(saved)
    rows = folder / f"rows{index}.npy"  # of which each process has its own part alone
    split = GallerySettings(layout="split")
    parts = Adapter(model, rows, query=query, devices=0, gallery_settings=split, **SETTINGS)
    parts.restore(saved)
    found |= searched(parts, probes(query, index, count), saved)
    parts.save(saved.with_name("in parts") if index == 0 else saved)
    wrong = data(query)[1].copy()
    wrong[-1] *= 0 if index == count - 1 else 1
    try:
        Adapter(model, wrong, query=query, devices=0)
    except UserError as error:  # in all of them; else the others would wait
        found["refused"] = np.array(str(error))
    np.savez(folder / f"{index}.npz", **found, **toys(names.split(";"), split=True))


if __name__ == "__main__":
    own_index, own_count, own_port, own_folder, own_query, own_names = sys.argv[1:]
    main(int(own_index), int(own_count), own_port, Path(own_folder), own_query, own_names)
