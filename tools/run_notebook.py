"""Runs the cells of a notebook one after the other and keeps what they print and show.

python -m tools.run_notebook docs/tour.ipynb

A small stand-in for Jupyter, so that the project's tests and its site need no kernel: plain Python
in one namespace; what the last line of a cell gives back is shown as a picture if it has
`_repr_png_`, else by `repr`.
"""

import ast
import base64
import contextlib
import io
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import app


def run_cells(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a notebook with the outputs of this run; an exception of a cell goes through."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = _run("".join(cell["source"]), f"cell {count}", scope)
            cell = {**cell, "outputs": outputs, "execution_count": count}
        cells.append(cell)
    return {**notebook, "cells": cells}


def _run(source: str, name: str, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of one cell, in Jupyter's form."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), scope)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), name, "eval"), scope)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None:
        data: dict[str, Any] = {"text/plain": [repr(value)]}
        if hasattr(value, "_repr_png_"):
            # The name of a picture in memory says nothing, and differs in each run.
            data = {"text/plain": ["a picture"]}
            data["image/png"] = base64.b64encode(value._repr_png_()).decode()
        result = {"output_type": "display_data", "metadata": {}, "data": data}
        outputs.append(result)
    return outputs


def main(argv: list[str]) -> None:
    """Runs the notebook that is named, and writes it with its outputs."""
    if len(argv) != 2:
        raise app.UsageError("name a notebook, for example docs/tour.ipynb")
    path = Path(argv[1])
    done = run_cells(json.loads(path.read_text("utf-8")))
    path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    app.run(main)
