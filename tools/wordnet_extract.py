"""Makes the small thesaurus in `wordnet/` from an installed WordNet 3.0.

    python -m tools.wordnet_extract /usr/share/wordnet reex_jax/corruptions/text/wordnet

The first folder is one with `data.noun` and `noun.exc` and the like: Debian's package
`wordnet-base` has it, and Princeton's `WNdb-3.0.tar.gz` with the exception lists of the full
release gives the same bytes. EDA asked NLTK for synonyms, whose WordNet is 3.0 too.

Kept are the synsets with two or more lemmas, and the irregular forms of their lemmas. Left out
are lemmas with capitals (names: "brown" would turn into "robert brown"), digits or signs, and
synsets that WordNet itself explains as offensive. Sorted and without duplicates, so that the files
do not depend on the order of the database.
"""

import re
from pathlib import Path

from absl import app

from reex_jax.corruptions.text.wordnet_files import EXCEPTIONS, PARTS_OF_SPEECH, SYNSETS
from reex_jax.errors import UserError

_LEMMA = re.compile(r"[a-z][a-z' -]*")
_MARKER = re.compile(r"\((a|p|ip)\)$")
"""Where an adjective may stand, for example "galore(ip)"."""
_OFFENSIVE = re.compile(
    r"\b(slurs?|offensive|obscen|vulgar|derogat|disparag|profan|insulting)", re.I
)


def synset_lemmas(line: str) -> list[str]:
    """The lemmas of one line of a data file that we keep, sorted.

    The format (wndb(5)): offset, file number, type, number of words in hexadecimal, then each
    word, with underscores for spaces, followed by a number of one hexadecimal digit; at the end
    "| " and the explanation.
    """
    data, _, explanation = line.partition("| ")
    if _OFFENSIVE.search(explanation):
        return []
    fields = data.split(" ")
    count = int(fields[3], 16)
    words = [_MARKER.sub("", word).replace("_", " ") for word in fields[4 : 4 + 2 * count : 2]]
    return sorted({word for word in words if _LEMMA.fullmatch(word)})


def extract(folder: Path) -> tuple[str, str]:
    """The contents of the two files.

    Returns:
        Synsets, "n bench,workbench" a line, and irregular forms, "n men man" a line.

    Raises:
        UserError: a file of WordNet is not there.
    """
    synsets: set[str] = set()
    exceptions: set[str] = set()
    for letter, name in PARTS_OF_SPEECH.items():
        single: set[str] = set()
        for line in _lines(folder / f"data.{name}"):
            lemmas = [] if line.startswith("  ") else synset_lemmas(line)  # the licence is indented
            known = {lemma for lemma in lemmas if " " not in lemma}
            if len(lemmas) > 1 and known:
                single |= known
                synsets.add(f"{letter} {','.join(lemmas)}")
        for line in _lines(folder / f"{name}.exc"):
            form, *bases = line.split(" ")
            exceptions |= {
                f"{letter} {form} {base}"
                for base in bases
                if base in single and base != form and _LEMMA.fullmatch(form)
            }
    return "".join(f"{line}\n" for line in sorted(synsets)), "".join(
        f"{line}\n" for line in sorted(exceptions)
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("latin-1").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a WordNet 3.0 that "
            "has data.noun and noun.exc, for example /usr/share/wordnet"
        ) from error


def main(argv: list[str]) -> None:
    """Writes both files into the folder named second."""
    if len(argv) != 3:
        raise app.UsageError("name the folder of WordNet 3.0 and the folder to write into")
    synsets, exceptions = extract(Path(argv[1]))
    for name, text in ((SYNSETS, synsets), (EXCEPTIONS, exceptions)):
        (Path(argv[2]) / name).write_text(text, "ascii", newline="\n")
        print(f"wrote {Path(argv[2]) / name}: {len(text.splitlines())} lines")


if __name__ == "__main__":
    app.run(main)
