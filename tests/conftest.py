"""Strict settings for every test: shapes are checked, and nothing is promoted in silence.

Eight fake CPU devices let sharded code run on a laptop. Most of the tests' time is compilation of
programs that run once on small arrays, so LLVM leaves out what makes code fast. Both are flags that
must be set before JAX starts.
"""

import atexit
import gc
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        "--xla_cpu_parallel_codegen_split_count=2",
    )
).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest
from jaxtyping import install_import_hook

# The array packages' annotations of shapes and dtypes are checked; the public face is not, since it
# answers wrong types with messages of its own, which are tested.
ARRAY_PACKAGES = (
    "reex_jax.arrays",
    "reex_jax.adaptation.shuffle",
    "reex_jax.adaptation.exclusion",
    "reex_jax.adaptation.masked",
    "reex_jax.adaptation.methods",
    "reex_jax.adaptation.objective",
    "reex_jax.adaptation.rivals",
    "reex_jax.adaptation.source_pairs",
    "reex_jax.adaptation.update",
    "reex_jax.models.blip.model",
    "reex_jax.models.clip.model",
    "reex_jax.models.llama.model",
    "reex_jax.models.siglip.model",
    "reex_jax.models.transformer",
    "reex_jax.retrieval.chunks",
    "reex_jax.retrieval.device_gallery",
    "reex_jax.retrieval.part",
    "reex_jax.retrieval.placing",
    "reex_jax.retrieval.ranks",
    "reex_jax.retrieval.rows",
    "reex_jax.retrieval.softmax",
    "reex_jax.retrieval.topk",
)
install_import_hook(ARRAY_PACKAGES, "beartype.beartype")

# Mixed dtypes are written out: an int32 array times a float is an error, not a float32.
jax.config.update("jax_numpy_dtype_promotion", "strict")

# An accidental [n] + [n, 1] gives a wrong matrix instead of an error; refuse it everywhere.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Many tests make the same adapter: its update step takes seconds to compile, and is read back in
# a tenth of that. Workers share the folder of the process that starts them; a cache of limited size
# is one that JAX locks.
_FOLDER = "REEX_JAX_TESTS_COMPILED"
if _FOLDER not in os.environ:
    os.environ[_FOLDER] = tempfile.mkdtemp(prefix="reex_jax_tests_")
    atexit.register(shutil.rmtree, os.environ[_FOLDER], ignore_errors=True)
_CACHE = {
    "jax_compilation_cache_dir": os.environ[_FOLDER],
    "jax_compilation_cache_max_size": 4 * 2**30,
    "jax_persistent_cache_min_compile_time_secs": 0.2,
}
for _name, _value in _CACHE.items():
    jax.config.update(_name, _value)
    # Commands that tests start share it, and leave that of the user alone.
    os.environ.setdefault(_name.upper(), str(_value))


def _script(name: str):
    path = Path(__file__).parent / "data" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def karpathy_script():
    """The module that writes tiny data sets in the layouts of COCO and Flickr30K."""
    return _script("make_karpathy")


@pytest.fixture(scope="session")
def tiny_coco(karpathy_script, tmp_path_factory):
    """A tiny COCO: 20 test images of odd sizes. Tests leave the folder as it is."""
    return karpathy_script.make_karpathy(tmp_path_factory.mktemp("coco"), "coco")


@pytest.fixture(autouse=True, scope="module")
def programs_do_not_pile_up():
    """Lets go of a file's compiled programs: thousands of them fill a worker's memory maps."""
    yield
    jax.clear_caches()
    gc.collect()
    gc.freeze()  # else every later collection walks through dictionaries of millions of words
