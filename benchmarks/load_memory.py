"""Peak host memory while a checkpoint is loaded, against the size of its weights.

    python -m benchmarks.load_memory            # a random ViT-B/16 (598 MB) in a temporary folder
    python -m benchmarks.load_memory FOLDER     # a checkpoint of your own, of any family

A fresh process imports everything, notes its resident memory, loads the model, and reports the
peak minus that baseline. Expect a factor of 1.2 to 1.4 and some seconds; 1.5 is the limit that we
promise. Linux only (it reads /proc).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT = 1.5

WRITE = """
import sys
from flax import nnx
from reex_jax.models.clip.checkpoint import save_model
from reex_jax.models.clip.config import ClipConfig, VisionConfig
from reex_jax.models.clip.model import ClipModel
config = ClipConfig(vision=VisionConfig(patch_size=16))
save_model(ClipModel(config, rngs=nnx.Rngs(0)), sys.argv[1])
"""

LOAD = r"""
import json, re, sys, time
import jax
from reex_jax import load_model

def kilobytes(field):
    return int(re.search(field + r":\s+(\d+) kB", open("/proc/self/status").read())[1])

jax.numpy.zeros(1).block_until_ready()
baseline = kilobytes("VmRSS")
start = time.perf_counter()
model = load_model(sys.argv[1], precision="float32").model
jax.block_until_ready(jax.tree.leaves(model))
seconds = time.perf_counter() - start
print(json.dumps({"peak": 1024 * (kilobytes("VmHWM") - baseline), "seconds": seconds}))
"""


def main() -> None:
    """Measure one checkpoint, print the factor and fail above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="default: a random ViT-B/16")
    folder = parser.parse_args().folder
    if folder is not None:
        report(folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        run_python(WRITE, temporary)
        report(Path(temporary))


def report(folder: Path) -> None:
    """Print file size, peak and factor; exit with status 1 above the limit."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    measured = json.loads(run_python(LOAD, folder))
    factor = measured["peak"] / size
    print(
        f"weights {size / 1e6:.0f} MB, peak while loading {measured['peak'] / 1e6:.0f} MB, "
        f"factor {factor:.2f} (limit {LIMIT}), {measured['seconds']:.1f} s"
    )
    if factor > LIMIT:
        sys.exit(1)


def run_python(code: str, folder: str | Path) -> str:
    """Standard output of a fresh process that runs `code` with `folder` as its argument."""
    # Eight fake devices or a GPU would measure something else.
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    main()
