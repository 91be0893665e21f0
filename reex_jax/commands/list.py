"""The commands by name."""

from reex_jax.commands.arguments import Option
from reex_jax.commands.start import Command

_EXPERIMENT = "settings.experiment:Experiment"

RUN = Command(
    "run",
    "measures methods on streams of queries: a table and a results folder",
    "commands.run:run",
    _EXPERIMENT,
    example="experiments/scenes_c.py",
    computes=True,
    shared=True,
)
ABLATE = Command(
    "ablate",
    "measures variants of a method: tables, a CSV file and a plot",
    "commands.ablate:ablate",
    _EXPERIMENT,
    example="experiments/ablation_exclusion.py",
    computes=True,
    shared=True,
)
REPAIR = Command(
    "repair",
    "repairs the text queries of an experiment ahead of its run",
    "commands.repair:repair",
    _EXPERIMENT,
    example="experiments/scenes_c.py",
    options=(
        Option("runner", "one of Apache Beam's; without it the work is done in this process"),
        Option("beam", "an option of the runner: --beam=--name=value", several=True),
    ),
)
LIST_CAPTIONS = Command(
    "list-captions",
    "writes the captions of an experiment, for rewriting them",
    "commands.list_captions:list_captions",
    _EXPERIMENT,
    example="experiments/scenes_c.py",
    options=(Option("out", "the file to write, for example --out=captions.jsonl", required=True),),
)
REWRITE = Command(
    "rewrite",
    "rewrites captions in the sentence kinds of corruption, once and for all",
    "commands.rewrite:rewrite",
    options=(
        Option("captions", "a file of list-captions", required=True),
        Option("out", "the file to write, for example --out=sentences.jsonl", required=True),
        Option("kinds", "sentence kinds, separated by commas; without it all"),
        Option("rewriter", "who rewrites: MODULE:FACTORY of your own", required=True),
        Option("rewriter_args", "arguments of the factory, a JSON object"),
        Option("batch_size", "captions given to the rewriter at once; 32 without it"),
    ),
)
PREPARE_DATA = Command(
    "prepare-data",
    "writes a data set into one format that is read fast and without TensorFlow",
    "commands.prepare_data:prepare_data",
    "settings.data:Data",
    flag="data",
    options=(
        Option("out", "the folder to write to; each data set gets one in it", required=True),
        Option("name", "what to call the data set; without it <set>_<split>"),
    ),
)
PRETRAIN = Command(
    "pretrain",
    "trains a small CLIP on generated scenes",
    "commands.pretrain:pretrain",
    "settings.pretraining:Pretraining",
    example="experiments/pretrain_scenes.py",
    computes=True,
)

COMMANDS = (RUN, ABLATE, REPAIR, LIST_CAPTIONS, REWRITE, PREPARE_DATA, PRETRAIN)
