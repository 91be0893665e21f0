"""The commands by name."""

from reex_jax.commands.arguments import Option
from reex_jax.commands.start import Command

_SHARD = Option("shard", "measures one of several equal shares, for example --shard=3/8")
_EXPERIMENT = "settings.experiment:Experiment"

RUN = Command(
    "run",
    "measures methods on streams of queries: a table and a results folder",
    "commands.run:run",
    _EXPERIMENT,
    example="experiments/scenes_c.py",
    options=(_SHARD,),
    computes=True,
    shared=True,
)
ABLATE = Command(
    "ablate",
    "measures variants of a method: tables, a CSV file and a plot",
    "commands.ablate:ablate",
    _EXPERIMENT,
    example="experiments/ablation_exclusion.py",
    options=(_SHARD,),
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
    options=(
        Option(
            "out", "the file to write, for example --out=captions.jsonl", required=True, path=True
        ),
    ),
)
REWRITE = Command(
    "rewrite",
    "rewrites captions in the sentence kinds of corruption, once and for all",
    "commands.rewrite:rewrite",
    options=(
        Option("captions", "a file of list-captions", required=True, path=True),
        Option(
            "out", "the file to write, for example --out=sentences.jsonl", required=True, path=True
        ),
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
        Option(
            "out", "the folder to write to; each data set gets one in it", required=True, path=True
        ),
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
SERVE = Command(
    "serve",
    "serves an index: a JSON API and a page, adapting to what is asked",
    "commands.serve:serve",
    "settings.service:Service",
    flag="serve",
    computes=True,
    options=(
        Option("index", "the folder that `index build` wrote, or demo for scenes", required=True),
    ),
)

_IN_INDEX = Option("index", "the folder of the index", required=True, path=True)
_SOURCE = (
    Option(
        "images", "a folder of pictures, WebDataset shards (*.tar), or a prepared set", path=True
    ),
    Option("texts", "instead of pictures: a file of texts (.txt, .jsonl, .json, .csv)", path=True),
    Option("captions", "captions of a folder's pictures: .jsonl, .json or .csv", path=True),
    Option(
        "model",
        "a checkpoint's folder or hub id; without it the index's, or the bundled one",
        path=True,
    ),
)
INDEX = (
    Command(
        "index build",
        "embeds pictures or texts into an index, or what is new of them",
        "commands.index:build_index",
        "settings.indexing:Indexing",
        computes=True,
        flag="build",
        options=(*_SOURCE, Option("out", "the folder of the index", required=True, path=True)),
    ),
    Command(
        "index add",
        "embeds more pictures or texts into an index",
        "commands.index:add_to_index",
        "settings.indexing:Indexing",
        computes=True,
        flag="build",
        options=(*_SOURCE, _IN_INDEX),
    ),
    Command(
        "index import",
        "makes an index of embeddings that are there already",
        "commands.index_import:import_index",
        "settings.indexing:Indexing",
        flag="build",
        options=(
            Option(
                "embeddings",
                "clip-retrieval's folder, or a .npy, .faiss, .index or .usearch file",
                required=True,
            ),
            Option("model", "the model that made them: a checkpoint or hub id", required=True),
            Option("out", "the folder of the index", required=True),
            Option("ids_file", "of a file's rows: an id a line; without it their numbers"),
            Option("texts", "true: they are of texts, not of pictures"),
        ),
    ),
    Command(
        "index remove",
        "takes items out of an index",
        "commands.index:remove_from_index",
        options=(
            _IN_INDEX,
            Option("ids", "of the items, separated by commas"),
            Option("ids_file", "a file with an id a line", path=True),
            Option("missing", "true: items whose files are no longer there"),
        ),
    ),
    Command(
        "index verify",
        "reads a whole index and compares it with its check sums",
        "commands.index:verify_index",
        options=(_IN_INDEX,),
    ),
    Command(
        "index stats",
        "says what an index holds, of which model, and how large it is",
        "commands.index:show_stats",
        options=(_IN_INDEX,),
    ),
)

PLAN = Command(
    "plan",
    "says what fits on a device, and what a batch costs",
    "commands.plan:plan",
    "settings.planning:Planning",
    flag="plan",
    computes=True,
)

REPORT = Command(
    "report",
    "shows results folders on one page, or their table for a paper",
    "commands.report:report",
    options=(
        Option("out", "the file to write; report.html without it"),
        Option("table", "markdown, latex or csv: the table alone, printed where --out is missing"),
    ),
    places="RESULTS...",
)

COMMANDS = (
    RUN,
    ABLATE,
    REPORT,
    REPAIR,
    LIST_CAPTIONS,
    REWRITE,
    PREPARE_DATA,
    *INDEX,
    SERVE,
    PRETRAIN,
    PLAN,
)
