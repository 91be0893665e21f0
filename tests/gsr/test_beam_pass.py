"""The pipeline on Beam's local runner with several workers. Needs requirements-beam.txt:

pytest --confcutdir=tests/gsr -m slow tests/gsr/test_beam_pass.py
"""

import pytest

pytest.importorskip("apache_beam", reason="needs requirements-beam.txt, in its own environment")

from reex_jax.gsr.beam_pass import run_beam_pass
from reex_jax.gsr.cache import Cache
from reex_jax.gsr.offline import run_pass
from reex_jax.gsr.symspell import SymSpellRewriter
from reex_jax.settings.repair import RepairSettings

pytestmark = [
    pytest.mark.slow,
    # Beam's own, in its pickling and in workers that end.
    pytest.mark.filterwarnings("default"),
]
WORKERS = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def test_the_same_rows_as_the_pass_in_one_process(tmp_path, dictionary):
    texts = [f"teh rde dgo numbr {i}\n\u2028 {'ä' * (i % 5)}" for i in range(500)]
    gsr = RepairSettings(rewriter="symspell", cache=str(tmp_path / "beam"))
    summary = run_beam_pass(gsr, [*texts, *texts], "DirectRunner", WORKERS)
    assert summary.reasons == {"repaired": 500} and summary.cached == 0
    rewriter = SymSpellRewriter(dictionary)
    run_pass(rewriter, tmp_path / "plain", texts, progress=False)
    found = Cache(tmp_path / "beam").read(rewriter.identity, texts)
    assert found == Cache(tmp_path / "plain").read(rewriter.identity, texts)
    assert len(found) == 500
    assert len(list((tmp_path / "beam").iterdir())) > 1  # several parts, and nothing else
    assert {file.suffix for file in (tmp_path / "beam").iterdir()} == {".parquet"}
    again = run_beam_pass(gsr, [*texts, "a new noe"], "DirectRunner", WORKERS)
    assert (again.cached, again.asked) == (500, 1)


def test_failures_are_counted_and_not_stored(stub, tmp_path):
    stub.behave = lambda number, request: (
        400 if "bad" in stub.query(request) else stub.answer(request)
    )
    gsr = RepairSettings(rewriter="openai", model="tiny", base_url=stub.url, cache=str(tmp_path))
    texts = [f"teh dog {i}{' bad' * (i % 10 == 0)}" for i in range(60)]
    summary = run_beam_pass(gsr, texts, "DirectRunner", WORKERS)
    assert summary.reasons == {"repaired": 54, "failed": 6}
    assert summary.prompt_tokens == 540
    identity = "openai model=tiny prompt=1 temperature=0 samples=1 max_tokens=128"
    assert len(Cache(tmp_path).texts(identity)) == 54
