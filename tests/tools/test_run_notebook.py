import base64
import json
import re
from pathlib import Path

import pytest

from tools.run_notebook import run_cells

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"


def code(source):
    return {"cell_type": "code", "metadata": {}, "outputs": ["old"], "source": source}


def outputs_of(notebook):
    return [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(notebook):
    texts = [out.get("text", []) for outputs in outputs_of(notebook) for out in outputs]
    return "".join(line for text in texts for line in text)


def test_cells_share_names_and_show_what_they_print_and_give_back():
    picture = "class P:\n    def _repr_png_(self):\n        return b'png'\n"
    cells = [
        code(["x = 2\n", "print(x)\n", "x + 1"]),
        {"cell_type": "markdown", "metadata": {}, "source": ["text"]},
        code(f"{picture}P()"),
        code("y = x"),
    ]
    done = run_cells({"cells": cells, "nbformat": 4})
    first, second, third = outputs_of(done)
    assert first[0] == {"output_type": "stream", "name": "stdout", "text": ["2\n"]}
    assert first[1]["data"] == {"text/plain": ["3"]}
    assert base64.b64decode(second[0]["data"]["image/png"]) == b"png"
    assert third == [] and done["cells"][1] == cells[1] and cells[0]["outputs"] == ["old"]
    with pytest.raises(ZeroDivisionError):
        run_cells({"cells": [code("1 / 0")]})


def test_the_tour_is_kept_with_its_outputs_and_names_no_place():
    text = TOUR.read_text("utf-8")
    tour = json.loads(text)
    assert tour["nbformat"] == 4
    assert sum("image/png" in out.get("data", {}) for outs in outputs_of(tour) for out in outs) == 2
    assert len(text) < 300_000 and "Traceback" not in text and "/home/" not in text
    for heading in ("Search", "Damage", "Calibration and adaptation", "Repair"):
        assert f'"## {heading}\\n"' in text


@pytest.mark.slow
def test_the_tour_runs_and_shows_what_it_says():
    text = printed(run_cells(json.loads(TOUR.read_text("utf-8"))))
    found = {
        name.strip(): [float(value) for value in values.split()]
        for name, values in re.findall(r"^([A-Za-z, ]+?) {2,}((?: *\d+\.\d)+)$", text, re.MULTILINE)
    }
    cosine, calibrated = found["by cosine"][1], found["calibrated"][1]
    assert cosine + 10 < calibrated < found["ReEx, calibrated"][1]
    assert found["with typing errors"][0] + 10 < found["repaired and fused"][0]
