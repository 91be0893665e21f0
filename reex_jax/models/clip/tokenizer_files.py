"""The files of a CLIP tokenizer: vocabulary, merges, and which tokens stand for themselves.

They are read as transformers 5 does: tokenizer.json comes before vocab.json and merges.txt, and of
it only vocabulary and merges count. Added tokens (of textual inversion, for example) are those of
tokenizer_config.json's `added_tokens_decoder`; without that, those of added_tokens.json and
tokenizer.json, and special_tokens_map.json names the special ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers.models import BPE

from reex_jax.errors import UserError
from reex_jax.files import read_json, refuse_pointer

FILES = "tokenizer.json, or vocab.json and merges.txt"
_FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
_NAMED = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
_NAMED |= dict.fromkeys(("unk_token", "pad_token"), "<|endoftext|>")
_OTHERS = ("sep_token", "cls_token", "mask_token")
_LISTS = ("additional_special_tokens", "extra_special_tokens")
"""transformers does not look into the first when it reads added_tokens.json."""


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that stand for no text."""

    start: AddedToken
    end: AddedToken
    unknown: AddedToken
    padding: AddedToken


@dataclass(frozen=True)
class TokenizerFiles:
    """What the files say.

    Attributes:
        vocab: token -> id, without what is only added to it.
        merges: pairs in the order in which they are joined.
        special: the four tokens that CLIP needs.
        added: tokens that are looked for in the text as they are, with their ids (None: the next
            free one), in the order in which they get them; special ones too.
    """

    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    special: SpecialTokens
    added: tuple[tuple[AddedToken, int | None], ...]


def has_tokenizer(folder: Path) -> bool:
    """True if any tokenizer file lies in the folder (it may still be damaged)."""
    return any((folder / f).is_file() for f in ("tokenizer.json", "vocab.json", "merges.txt"))


def read_files(folder: Path) -> TokenizerFiles:
    """Reads all files of a tokenizer.

    Raises:
        UserError: files are missing or damaged.
        AttributeError, KeyError, TypeError, ValueError: they are laid out in another way.
    """
    whole = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else None
    settings = _optional(folder / "tokenizer_config.json")
    declared = settings.get("added_tokens_decoder")
    if declared is not None:
        entries = [(int(number), dict(entry)) for number, entry in declared.items()]
    else:
        settings |= _optional(folder / "special_tokens_map.json")
        names = {_content(value) for value in _special_values(settings, _LISTS[1:])}
        legacy = _optional(folder / "added_tokens.json").items()
        entries = [(i, {"content": t, "normalized": t not in names, "special": t in names})
                   for t, i in legacy]  # fmt: skip
        entries += [(entry["id"], entry) for entry in (whole or {}).get("added_tokens") or []]
    by_number = dict(sorted(dict(entries).items()))
    known = {entry["content"]: _token(entry) for entry in by_number.values()}
    special = special_tokens(settings, known)
    added: dict[str, tuple[AddedToken, int | None]] = {
        entry["content"]: (known[entry["content"]], number) for number, entry in by_number.items()
    }
    four = (special.start, special.end, special.unknown, special.padding)
    others = (_as_special(value, known) for value in _special_values(settings))
    for token in (*four, *others):
        added.setdefault(token.content, (token, None))
    vocab, merges = _read_vocabulary(folder, whole)
    return TokenizerFiles(vocab, merges, special, tuple(added.values()))


def special_tokens(
    settings: Mapping[str, Any], known: Mapping[str, AddedToken] | None = None
) -> SpecialTokens:
    """The special tokens that the settings name, else CLIP's.

    Args:
        settings: of tokenizer_config.json; a token is a string or an object.
        known: what is known of added tokens, by their text.
    """
    start, end, unknown, padding = (
        _as_special(settings.get(key) or default, known or {}) for key, default in _NAMED.items()
    )
    return SpecialTokens(start, end, unknown, padding)


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _special_values(settings: Mapping[str, Any], lists: tuple[str, ...] = _LISTS) -> Iterator[Any]:
    """Every token that the settings call special, as a string or an object."""
    yield from (settings[key] for key in (*_NAMED, *_OTHERS) if settings.get(key))
    for key in lists:
        listed: Iterable[Any] = settings.get(key) or ()
        yield from listed.values() if isinstance(listed, dict) else listed


def _content(value: Any) -> str:
    content = value if isinstance(value, str) else value["content"]
    if not isinstance(content, str) or not content:
        raise TypeError(f"{content!r:.60} is no token")
    return content


def _as_special(value: Any, known: Mapping[str, AddedToken]) -> AddedToken:
    content = _content(value)
    if content in known:
        return known[content]
    flags = {} if isinstance(value, str) else dict(value)
    return _token(flags | {"content": content, "special": True})


def _token(entry: Mapping[str, Any]) -> AddedToken:
    flags = {flag: bool(entry[flag]) for flag in _FLAGS if flag in entry}
    return AddedToken(_content(entry["content"]), **flags)


def _read_vocabulary(
    folder: Path, whole: Mapping[str, Any] | None
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    if whole is not None:
        model = whole["model"]
        if not {"vocab", "merges"} <= model.keys():
            raise UserError(
                f"tokenizer.json holds a {model.get('type')} model; CLIP needs byte pairs (BPE)"
            )
        pairs = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        return dict(model["vocab"]), [(left, right) for left, right in pairs]
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise UserError(f"{name} is missing; a tokenizer is {FILES}")
        refuse_pointer(folder / name)
    try:
        return BPE.read_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the engine raises bare Exception
        raise UserError(f"cannot read vocab.json and merges.txt ({error})") from error
