"""Reads a SentencePiece vocabulary (`spiece.model`) into the engine `tokenizers`.

The file is a protocol buffer, of which a few fields matter: a reader of some lines saves packages.
Field numbers are those of sentencepiece_model.proto.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from reex_jax.errors import UserError
from reex_jax.files import refuse_pointer

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3  # of the model
_PIECE, _SCORE = 1, 2  # of a piece
_MODEL_TYPE, _BYTE_FALLBACK, _UNKNOWN_ID = 3, 35, 40  # of the trainer's settings
_CHARACTERS, _PREFIX = 2, 3  # of the normaliser's settings
_UNIGRAM = 1


def sentencepiece_engine(file: Path) -> tokenizers.Tokenizer:
    """Strings to ids as SentencePiece does it, white space collapsed; no special tokens.

    Raises:
        UserError: unreadable, damaged, or not a unigram vocabulary.
    """
    refuse_pointer(file)
    try:
        return _engine(file.read_bytes())
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except Exception as error:  # the engine raises bare Exception
        raise UserError(f"{file}: damaged ({error}); download it again") from error


def _engine(content: bytes) -> tokenizers.Tokenizer:
    pieces: list[tuple[str, float]] = []
    unknown, kind, byte_fallback, prefix, characters = 0, _UNIGRAM, False, True, b""
    for field, value in _fields(content):
        if field == _PIECES:
            piece = dict(_fields(value))
            pieces.append((piece[_PIECE].decode(), _float(piece.get(_SCORE, b"\0\0\0\0"))))
        elif field == _TRAINER:
            trainer = dict(_fields(value))
            kind = trainer.get(_MODEL_TYPE, _UNIGRAM)
            unknown = trainer.get(_UNKNOWN_ID, 0)
            byte_fallback = bool(trainer.get(_BYTE_FALLBACK, 0))
        elif field == _NORMALIZER:
            normalizer = dict(_fields(value))
            characters = normalizer.get(_CHARACTERS, b"")
            prefix = bool(normalizer.get(_PREFIX, 1))
    if kind != _UNIGRAM:
        raise UserError(f"its model_type is {kind}, but only 1 (unigram) is supported")
    engine = tokenizers.Tokenizer(Unigram(pieces, unknown, byte_fallback))
    steps = [normalizers.Precompiled(characters)] if characters else []
    engine.normalizer = normalizers.Sequence(
        [*steps, normalizers.Replace(Regex(r"[ ▁]+"), " "), normalizers.Strip()]
    )
    scheme = "always" if prefix else "never"
    engine.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)
    return engine


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: bytes, or an int where the wire has a varint."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        kind = key & 7
        value: bytes | int
        if kind == 0:
            value, at = _varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = content[at : at + size], at + size
        elif kind == 2:
            size, at = _varint(content, at)
            if at + size > len(content):
                raise ValueError("it is cut off")
            value, at = content[at : at + size], at + size
        else:
            raise ValueError(f"a field of kind {kind}")
        yield key >> 3, value


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return value, at


def _float(value: bytes) -> float:
    return float(struct.unpack("<f", value)[0])
