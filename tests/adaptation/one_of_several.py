"""One process of several that adapt together, for test_hosts.py; started as a program.

python one_of_several.py INDEX COUNT PORT FOLDER QUERY
"""

import os
import sys
from pathlib import Path

import jax
import numpy as np

from reex_jax import Adapter, load_clip
from reex_jax.commands.processes import join
from reex_jax.settings.machine import Machine

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
BATCH, SIZES = 16, (16, 13, 5)
SETTINGS = {"method": "reex", "batch_size": BATCH, "steps": 2, "learning_rate": 1e-2}


def data(query: str) -> tuple[np.ndarray, np.ndarray]:
    """Queries of all batches, and the gallery."""
    with np.load(GOLDEN / "golden.npz") as golden:
        if query == "image":
            return golden["images"].transpose(0, 2, 3, 1), golden["text_embeds"]
        return golden["tokens"].astype(np.int32), golden["image_embeds"]


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
    probes = queries[index::count][:3]
    found["scores"] = adapter.similarities(shortened(probes), learn=False)
    found |= {f"state{i}": leaf for i, leaf in enumerate(jax.tree.leaves(adapter.state))}
    return jax.device_get(found)


def main(index: int, count: int, port: str, folder: Path, query: str) -> None:
    join(Machine(coordinator=f"127.0.0.1:{port}", processes=count, process=index))
    model = load_clip(GOLDEN / "clip_tiny", precision="float32")
    adapter = Adapter(model, data(query)[1], query=query, devices=0, **SETTINGS)
    found = adapted(adapter, query, index, count)
    # Only the first process can read and write the folder, as on hosts with disks of their own.
    saved = folder / "saved" if index == 0 else Path(os.devnull) / "nowhere"
    adapter.save(saved)
    again = Adapter(model, data(query)[1], query=query, devices=1, **SETTINGS)
    again.restore(saved)
    probes = shortened(data(query)[0][index::count][:3])
    found["restored"] = again.similarities(probes, learn=False)
    np.savez(folder / f"{index}.npz", **found)


if __name__ == "__main__":
    own_index, own_count, own_port, own_folder, own_query = sys.argv[1:]
    main(int(own_index), int(own_count), own_port, Path(own_folder), own_query)
