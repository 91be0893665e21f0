"""Embeddings that somebody else made become an index: files of NumPy, faiss or usearch."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet

from reex_jax.errors import UserError
from reex_jax.files import home
from reex_jax.index.backends.protocol import optional
from reex_jax.index.entries import usable_caption
from reex_jax.index.rows import Row
from reex_jax.index.writer import IndexWriter
from reex_jax.progress import Progress

_PART = 16384
_ID_COLUMNS = ("image_path", "key", "id", "url")
_STAMP = "imported"


class Part(NamedTuple):
    """Some rows of what is imported.

    Attributes:
        rows: [n, D] of any float type and length.
        ids: n of them.
        captions: n of them, "" for none.
    """

    rows: np.ndarray
    ids: Sequence[str]
    captions: Sequence[str]


class Imported(NamedTuple):
    """What is to be imported.

    Attributes:
        kind: what made it, for people.
        modality: "image" or "text".
        items: how many rows.
        parts: all of them, in order.
    """

    kind: str
    modality: str
    items: int
    parts: Iterator[Part]


def find_embeddings(source: str | Path, ids_file: str | Path = "", text: bool = False) -> Imported:
    """What a user names.

    Args:
        source: a folder of clip-retrieval (img_emb/*.npy or text_emb/*.npy, metadata/*.parquet), a
            `.npy` file [N, D], or an index of faiss (`.faiss`, `.index`) or usearch (`.usearch`).
        ids_file: for files: an id a line, by position (faiss, .npy) or number (usearch, faiss with
            numbers of its own). "": positions or numbers are the ids.
        text: take the embeddings of texts; else those of images.

    Raises:
        UserError: nothing that is known here, damaged files, or a library that is missing.
    """
    path = home(source)
    if path.is_dir():
        if ids_file:
            raise UserError("--ids_file is for files; a folder has its ids in metadata/*.parquet")
        return _clip_retrieval(path, text)
    readers = {".npy": _npy, ".usearch": _usearch, ".faiss": _faiss, ".index": _faiss}
    if not path.is_file():
        raise UserError(f"{source}: no such file or folder; check the path")
    if path.suffix not in readers:
        raise UserError(
            f"{source}: unknown kind of embeddings; known are a folder of clip-retrieval and the "
            f"endings {', '.join(readers)}"
        )
    kind, rows, numbers = readers[path.suffix](path)
    ids = _ids(numbers, home(ids_file) if ids_file else None)
    return Imported(kind, "text" if text else "image", len(rows), _cut(rows, ids))


def import_embeddings(writer: IndexWriter, found: Imported, *, shown: bool = True) -> int:
    """Writes all rows into an index, scaled to length 1; how many were new.

    Killed, the same call goes on where it was: rows whose ids are there are passed over.

    Raises:
        UserError: another width than the model's, rows that are not finite or zero, or ids that
            repeat; what was written before stays.
    """
    known = set(writer.rows.texts("ids").whole())
    seen: set[str] = set()
    before, width = writer.manifest.items, writer.manifest.model.dim
    with Progress(found.items, unit="row", label="import", shown=shown) as bar:
        for part in found.parts:
            vectors = _unit(part, width)
            for name in part.ids:
                if name in seen or not name:
                    raise UserError(f"id {name!r} is empty or comes twice; make each id unique")
                seen.add(name)
            triples = zip(part.ids, vectors, part.captions, strict=True)
            writer.append(
                [
                    Row(name, vector, caption, "", _STAMP)
                    for name, vector, caption in triples
                    if name not in known
                ]
            )
            bar.update(len(part.ids))
    return writer.manifest.items - before


def _unit(part: Part, width: int) -> np.ndarray:
    rows = np.asarray(part.rows, np.float32)
    if rows.ndim != 2 or rows.shape[1] != width:
        raise UserError(
            f"the embeddings have shape {list(rows.shape)}, but the model's are {width} wide; name "
            "the model that made them: --model"
        )
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~np.isfinite(lengths) | (lengths < 1e-6))
    if wrong.size:
        raise UserError(
            f"the embedding of {part.ids[wrong[0]]!r} is zero or not finite ({wrong.size} such "
            "rows); leave these items out"
        )
    return (rows / lengths[:, None]).astype(np.float32)


def _cut(rows: Any, ids: Sequence[str]) -> Iterator[Part]:
    for start in range(0, len(rows), _PART):
        names = ids[start : start + _PART]
        yield Part(rows[start : start + _PART], names, [""] * len(names))


def _ids(numbers: np.ndarray, file: Path | None) -> Sequence[str]:
    if file is None:
        return [str(number) for number in numbers.tolist()]
    try:
        names = file.read_text("utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); give a text file") from error
    if numbers.size and int(numbers.max()) >= len(names):
        raise UserError(
            f"{file}: has {len(names)} lines, but the embeddings have numbers up to "
            f"{numbers.max()}; give one id a line"
        )
    return [names[number] for number in numbers.tolist()]


def _npy(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    rows = _open_npy(path)
    return f"NumPy ({path.name})", rows, np.arange(len(rows))


def _open_npy(path: Path) -> np.ndarray:
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: no array of NumPy ({error}); fetch the file anew") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.dtype.kind != "f":
        raise UserError(f"{path}: embeddings are [N, D] of a float type; this is something else")
    return rows


def _usearch(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    library = optional("usearch.index", "usearch")
    try:
        graph = library.Index.restore(str(path))
    except Exception as error:  # whatever the library makes of damaged bytes
        raise UserError(f"{path}: no index of usearch ({error}); fetch the file anew") from error
    if graph is None:
        raise UserError(f"{path}: no index of usearch; fetch the file anew")
    numbers = np.sort(np.asarray(graph.keys)).astype(np.uint64)
    rows = np.asarray(graph.get(numbers, np.float32), np.float32).reshape(len(numbers), -1)
    return f"usearch ({graph.dtype}, {path.name})", rows, numbers.astype(np.int64)


def _faiss(path: Path) -> tuple[str, np.ndarray, np.ndarray]:
    library = optional("faiss", "faiss-cpu")
    try:
        whole = inner = library.read_index(str(path))
        kind, numbers = type(whole).__name__, np.arange(whole.ntotal)
        if hasattr(whole, "id_map"):  # `inner` is a part of `whole`, which must live on
            numbers = library.vector_to_array(whole.id_map)
            inner = library.downcast_index(whole.index)
            kind += f" of {type(inner).__name__}"
        rows = inner.reconstruct_n(0, whole.ntotal)
    except Exception as error:  # whatever the library makes of damaged bytes or other indexes
        reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else ""
        raise UserError(
            f"{path}: no index of faiss whose vectors can be had back ({reason}); give the .npy "
            "files it was made from"
        ) from error
    return f"faiss ({kind}, {path.name})", rows, numbers.astype(np.int64)


def _clip_retrieval(folder: Path, text: bool) -> Imported:
    name = "text_emb" if text else "img_emb"
    arrays = sorted((folder / name).glob("*.npy"), key=_number)
    tables = sorted((folder / "metadata").glob("*.parquet"), key=_number)
    if not arrays:
        raise UserError(
            f"{folder}: no {name}/*.npy; a folder of clip-retrieval has {name}/ and metadata/"
        )
    if [_number(path) for path in arrays] != [_number(path) for path in tables]:
        raise UserError(
            f"{folder}: {len(arrays)} files in {name}/ and {len(tables)} in metadata/ do not "
            "belong together; each number needs one of both"
        )
    sizes = [len(_open_npy(path)) for path in arrays]
    parts = _clip_retrieval_parts(arrays, tables)
    modality = "text" if text else "image"
    return Imported(f"clip-retrieval ({folder.name})", modality, sum(sizes), parts)


def _number(path: Path) -> int:
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else -1


def _clip_retrieval_parts(arrays: Sequence[Path], tables: Sequence[Path]) -> Iterator[Part]:
    for array, table in zip(arrays, tables, strict=True):
        rows = _open_npy(array)
        try:
            columns = pyarrow.parquet.read_table(table).to_pydict()
        except (OSError, pyarrow.ArrowException) as error:
            raise UserError(f"{table}: no Parquet file ({error}); fetch it anew") from error
        name = next((one for one in _ID_COLUMNS if one in columns), None)
        if name is None:
            raise UserError(
                f"{table}: has the columns {', '.join(columns)}; one of {', '.join(_ID_COLUMNS)} "
                "must hold the ids"
            )
        if len(columns[name]) != len(rows):
            raise UserError(f"{array} has {len(rows)} rows, and {table} {len(columns[name])}")
        ids = [str(value) for value in columns[name]]
        captions = [usable_caption(str(c or "")) for c in columns.get("caption", [""] * len(ids))]
        for start in range(0, len(ids), _PART):
            end = start + _PART
            yield Part(rows[start:end], ids[start:end], captions[start:end])
