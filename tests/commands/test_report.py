"""The report's numbers are those of metrics.jsonl; its tables, notes and errors."""

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

from reex_jax.benchmark.run import run_benchmark
from reex_jax.benchmark.shard import Shard
from reex_jax.commands.arguments import Arguments
from reex_jax.commands.list import REPORT
from reex_jax.commands.report import report, varied
from reex_jax.commands.start import read_arguments
from reex_jax.errors import UserError
from reex_jax.reporting.joined import read_results
from reex_jax.reporting.page import page
from reex_jax.reporting.page.examples import word_difference
from reex_jax.reporting.rows import by_ranking, read_rows
from reex_jax.settings.corruptions import Corruptions
from reex_jax.settings.data import Data
from reex_jax.settings.experiment import Experiment, Variant


class Page(HTMLParser):
    """Cells of the benchmark tables, and everything that might load something."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.addresses, self.tags = {}, [], []
        self._direction = self._line = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.addresses += [given[n] for n in ("src", "href", "srcset", "data") if n in given]
        if tag == "div" and given.get("class") == "wide":
            self._direction = given.get("data-direction")
        if tag == "tr" and "data-ranking" in given:
            self._line = given["data-method"], given["data-ranking"]
        if tag == "td" and "data-value" in given and self._line:
            self._cell = (self._direction, *self._line, given["data-corruption"])
            self.cells[self._cell] = [float(given["data-value"]), ""]

    def handle_endtag(self, tag):
        self._cell = None if tag == "td" else self._cell
        self._line = None if tag == "table" else self._line

    def handle_data(self, text):
        if self._cell:
            self.cells[self._cell][1] += text


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    variants = (
        Variant("k=1", "reex", {"k": 1}, "k", "1"),
        Variant("k=2", "reex", {"k": 2}, "k", "2"),
    )
    return Experiment(
        method=("none", "reex", "k=1"),
        variants=variants,
        data=Data(num_images=12),
        corruptions=Corruptions(
            image=("gaussian_noise", "fog"), text=("keyboard",), severities=(3, 5)
        ),
        results=str(tmp_path_factory.mktemp("report")),
        directions=("image_to_text",),
        seeds=(0, 1),
        batch_size=8,
        progress=False,
    )


@pytest.fixture(scope="module")
def shares(experiment):
    return [run_benchmark(experiment, ("--config=x.py",), Shard(n, 2))[0].path for n in (1, 2)]


def called(*words):
    report(read_arguments(REPORT, [str(word) for word in words]))


@pytest.fixture(scope="module")
def text(shares, tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "report.html"
    called(*shares, f"--out={out}")
    return out.read_text("utf-8")


def test_numbers_are_those_of_the_rows(shares, text):
    """Both shares together, each mean taken anew from the lines."""
    rows = by_ranking([row for path in shares for row in read_rows(path / "metrics.jsonl")])
    found = {}
    for row in rows:
        name = f"{row['corruption']} {row['severity']}" if row["severity"] else "clean"
        key = (
            row["direction"],
            row.get("method_alone", row["method"]),
            row.get("ranking", "plain"),
        )
        found.setdefault((*key, name), []).append(row["recall@1"])
        if row["severity"]:
            found.setdefault((*key, "mean"), []).append(row["recall@1"])
    cells = Page(text).cells
    assert set(cells) == set(found) and len(cells) == 3 * 2 * 6
    for key, values in found.items():
        value, shown = cells[key]
        assert value == pytest.approx(np.mean(values), abs=1e-9)
        assert shown.startswith(f"{np.mean(values):.1f} ±")
        difference = value - cells[key[0], "none", "plain", key[3]][0]
        if key[1:3] != ("none", "plain"):
            assert float(re.search(r"([+-][\d.]+)$", shown)[1]) == pytest.approx(
                difference, abs=0.051
            )


def test_the_page_needs_nothing_else(text):
    found = Page(text)
    assert all(address.startswith("data:image/") for address in found.addresses)
    assert "link" not in found.tags and "iframe" not in found.tags
    loads = re.sub(r"<pre>.*?</pre>", "", text, flags=re.DOTALL)  # settings may name a server
    assert not re.search(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg)", loads)
    assert found.tags.count("article") == 6 * 3  # clean and two kinds, at the highest severity
    for part in ("Benchmark", "Along the stream", "Recall by severity", "Ablation", "Hubs and"):
        assert f"<h2>{part}" in text
    assert "NaN" not in text and "nan," not in text
    assert "python -m reex_jax.main --config=x.py" in text
    assert 'aria-label="Ablation of k"' in text and 'aria-label="Recall by severity"' in text


def test_a_missing_share_is_named(shares, experiment, tmp_path, capsys):
    called(shares[0], f"--out={tmp_path / 'r.html'}")
    assert "note: shares 2 of 2 are missing" in capsys.readouterr().out
    (group,), _ = read_results([str(path) for path in shares])
    assert len(group.rows) == 3 * 2 * 5 and not group.notes
    assert [level.label for level in varied(group)["image_to_text"]] == ["1"]


def test_tables_for_a_paper(shares, capsys):
    called(*shares, "--table=csv")
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    rows = [row for path in shares for row in read_rows(path / "metrics.jsonl")]
    for line in lines:
        if line["metric"] == "mAP" and line["ranking"] == "plain" and line["corruption"] == "fog":
            same = [
                row["mAP"]
                for row in rows
                if row["method"] == line["method"]
                and (row["corruption"], str(row["severity"])) == ("fog", line["severity"])
            ]
            assert float(line["mean"]) == pytest.approx(np.mean(same))
            assert float(line["sd"]) == pytest.approx(np.std(same, ddof=1))
    assert {line["metric"] for line in lines} >= {"recall@1", "recall@10", "mAP", "median_rank"}
    called(*shares, "--table=latex")
    said = capsys.readouterr().out
    assert r"\textbf{" in said and r"gaussian\_noise 5" in said and r"$\pm$" in said
    assert said.count("{") == said.count("}")
    called(*shares, "--table=markdown")
    said = capsys.readouterr().out
    assert "| none, calibrated" in said and "**" in said


def test_old_partial_and_damaged_folders(shares, tmp_path, capsys):
    old = tmp_path / "old"
    shutil.copytree(shares[0], old)
    shutil.rmtree(old / "details")
    shutil.rmtree(old / "examples")
    torn = tmp_path / "torn"
    shutil.copytree(shares[0], torn)
    damaged = sorted((torn / "details").iterdir())[0]
    damaged.write_bytes(damaged.read_bytes()[:50])
    out = tmp_path / "page.html"
    called(old, f"--out={out}")
    text = out.read_text("utf-8")
    assert "streams only the numbers were kept" in text and "was not recorded by these runs" in text
    called(torn, f"--out={out}")
    assert f"{damaged}: cannot be read" in out.read_text("utf-8")

    bad = tmp_path / "bad"
    shutil.copytree(old, bad)
    (bad / "metrics.jsonl").write_text('{"method": 3}\n')
    called(old, bad, f"--out={out}")
    assert "line 1 is damaged" in out.read_text("utf-8")
    assert "note: " in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no results that can be read: .*line 1 is damaged"):
        called(bad, f"--out={out}")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="holds no results; name a folder with metrics"):
        called(empty)
    with pytest.raises(UserError, match="there is no such folder"):
        called(tmp_path / "nowhere")
    with pytest.raises(UserError, match="name a results folder"):
        called()
    with pytest.raises(UserError, match="unknown value of --table: 'excel'"):
        called(old, "--table=excel")


@pytest.mark.parametrize("same", [False, True])
def test_published_numbers_stand_only_beside_their_protocol(shares, tmp_path, monkeypatch, same):
    copy, out = tmp_path / "copy", tmp_path / "page.html"
    shutil.copytree(shares[0], copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"published": "tcr_clip"}))
    if same:
        monkeypatch.setattr(page, "deviations", lambda config, rows: [])
        monkeypatch.setattr(page, "published_table", lambda config, rows: "theirs 26.0 <ours>")
    called(copy, f"--out={out}")
    text = out.read_text("utf-8")
    assert ("theirs 26.0 &lt;ours&gt;" in text) == same
    assert ("Published numbers are left out: checkpoint bundled" in text) != same


def test_names_from_elsewhere_are_no_html(shares, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shares[0], copy)
    for file in ("metrics.jsonl", "config.json"):
        content = (copy / file).read_text().replace("k=1", "<script>alert(1)</script>")
        (copy / file).write_text(content)
    for file in (copy / "examples").iterdir():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        for line in lines:
            for part in ("query", "item"):
                if part in line:
                    line[part] = {"text": "<img src=x onerror=alert(1)>"}
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "page.html"
    called(copy, f"--out={out}")
    text = out.read_text("utf-8")
    assert "<script>alert" not in text and "<img src=x" not in text


def test_what_a_repair_changed():
    assert word_difference("a rde dog", "a red dog") == "a <del>rde</del> <ins>red</ins> dog"
    assert word_difference("<b> x", "x") == "<del>&lt;b&gt;</del> x"
    assert word_difference("same", "same") == "same"


def test_arguments():
    found = read_arguments(REPORT, ["a", "--out", "b.html", "c"])
    assert isinstance(found, Arguments)
    assert found.places == ("a", "c") and found.options == {"out": "b.html", "table": ""}
