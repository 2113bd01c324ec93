"""Every diagnostic code, with the page that `tpgen explain CODE` shows.

One `register_code` call per code, sorted. A page says what is wrong, shows a small example and the way out. Ranges:
TP0xx TOML and files; TP1xx keys, values, names, backend expressions; TP2xx graph; TP3xx types; TP4xx models;
TP5xx user code; TP6xx repository writing; TP7xx server, verify, perf; TP8xx lint of a repository; TP9xx decisions.
"""

import re
from dataclasses import dataclass
from inspect import cleandoc


@dataclass(frozen=True)
class CodeInfo:
    """What a code means: a title of one line, and an explanation in Markdown."""

    title: str
    explanation: str


CODES: dict[str, CodeInfo] = {}


def register_code(code: str, title: str, explanation: str) -> None:
    """Adds one code; raises ValueError if it's malformed or taken, which only a bug can cause."""
    if not re.fullmatch(r"TP\d{3}", code):
        raise ValueError(f"{code!r} is not a diagnostic code: TP and three digits")
    if code in CODES:
        raise ValueError(f"{code} is registered twice: {CODES[code].title!r} and {title!r}")
    CODES[code] = CodeInfo(title, cleandoc(explanation))


# --- TP0xx: TOML and files ----------------------------------------------------------------------------------------

register_code(
    "TP001",
    "a file can't be read",
    """
    The file named on the command line, or by another file, does not exist, is a folder, may not be read by this
    user, or is far larger than any pipeline description (16 MiB).

        $ tpgen build my_pipelines/

    Name the TOML file itself, and check its path and permissions:

        $ tpgen build my_pipelines/ocr.toml
    """,
)

register_code(
    "TP002",
    "a file is not UTF-8",
    """
    TOML files are UTF-8. Some editors save UTF-16 or a national encoding such as Latin-1 or GBK, and a model or an
    image given in place of the TOML file isn't text at all. The message names the first byte that doesn't fit.

    Save the file as UTF-8 in the editor, or convert it:

        $ iconv -f latin1 -t utf-8 old.toml > pipeline.toml
    """,
)

register_code(
    "TP003",
    "the file is not valid TOML",
    """
    The text breaks a rule of TOML 1.0. The most frequent causes:

        backend = DecodeMat          # text without quotes
        model::cache = "a.trt"       # a key with other characters than A-Z a-z 0-9 _ - without quotes
        max = 1x3x224x224            # neither a number nor quoted text
        mean = 123.675, 116.28       # a list without brackets
        resize_h = 224 resize_w = 224   # two keys on one line

    Written so that TOML accepts them:

        backend = "DecodeMat"
        "model::cache" = "a.trt"
        max = "1x3x224x224"
        mean = [123.675, 116.28]
        resize_h = 224
        resize_w = 224

    A table or key may be given once only. A file with more than 16 levels of nesting, or more than 200,000 keys and
    array items, is refused as well: no pipeline looks like that.
    """,
)

# --- TP1xx: keys, values, names, backend expressions ---------------------------------------------------------------

register_code(
    "TP101",
    "unknown operator",
    """
    A name in `backend` is no operator of the dialect, of tpgen, or of an installed operator package.

        backend = "Sequential[DecodeMat,ResizeMta]"     # ResizeMat is meant

    `docs/operators.md` lists all operators. Your own code is called with `backend = "Python[module:name]"`.
    """,
)

register_code(
    "TP102",
    "unknown key",
    """
    No operator of the node takes this key, and it is no key of nodes in general. The original silently ignores such
    keys, so that a typing error changes what is computed.

        [resize]
        backend = "ResizeMat"
        resize_heigth = 224          # resize_h is meant

    Correct the name, or take the line out.
    """,
)

register_code(
    "TP103",
    "a value of the wrong kind",
    """
    The key needs a number, a list, true or false, or a string, and has something else. Numbers and lists may be
    written in TOML's own form or, as the dialect does, as strings: `224` and `"224"`, `[1.0, 2.0]` and `"1.0, 2.0"`.
    """,
)

register_code(
    "TP104",
    "a value out of range",
    """
    The number is smaller or larger than what the key can take, for example `instance_num = 0`. The message names the
    bound.
    """,
)

register_code(
    "TP105",
    "not one of the possible values",
    """
    The key takes one of a few words, which the hint lists, for example `color = "rgb"` or `color = "bgr"`.
    """,
)

register_code(
    "TP106",
    "too many arguments, or one given twice",
    """
    The values in the parentheses behind an operator, `ResizeMat(resize_h=224)`, name each key once. Values without a
    name fill the keys in the order of `docs/operators.md`.
    """,
)

register_code(
    "TP107",
    "an a|b|c value with the wrong number of parts",
    """
    In a node with several operators, `color = "rgb|bgr"` gives the first operator `rgb` and the second `bgr`. There
    must be one part per operator; an empty part gives that operator nothing.
    """,
)

register_code(
    "TP108",
    "a required key is missing",
    """
    The operator can't work without this key.

        [resize]
        backend = "ResizeMat"        # needs resize_h and resize_w

    Add it to the node, to one operator (`ResizeMat(resize_h=224)`), or at the top of the file for all nodes.
    """,
)

register_code(
    "TP109",
    "a name that can't be used",
    """
    Names of pipelines and nodes become names of Triton models, directories and metrics: letters, digits, `_`, `.`
    and `-`, first a letter or digit, and no `__`, which separates pipeline and node. Words that the dialect gives a
    meaning (`global`, `default`, `data`, `result` ...) are no node names either.
    """,
)

register_code(
    "TP110",
    "backend is not an expression",
    """
    A `backend` is an operator's name, or a container with operators in brackets:

        backend = "Sequential[DecodeMat,ResizeMat(resize_h=224,resize_w=224)]"

    The columns in the message point at the bracket or name at fault.
    """,
)

register_code(
    "TP111",
    "a filter before the first operator",
    """
    In a sequence, `(filter)Operator` decides whether the operator runs after the one before it. The first operator
    has none before it.
    """,
)

register_code(
    "TP112",
    "brackets behind an operator that holds none",
    """
    Only containers such as `Sequential[...]` hold operators in brackets. Values are given in parentheses,
    `ResizeMat(resize_h=224)`, or as keys of the node.
    """,
)

register_code(
    "TP113",
    "an operator that tpgen does not compile",
    """
    The original has this operator, tpgen does not; the hint says why and what to use in its place.
    """,
)

register_code(
    "TP114",
    "not a type",
    """
    The types in `[pipeline.inputs]` are `bytes`, `string`, or an element type with dimensions, and for an image its
    colour order:

        [pipeline.inputs]
        data = "uint8[H,W,3] bgr"
        boxes = "float32[N,4]"
        raw = {type = "bytes", wire = "uint8"}

    A dimension is a number, a name, or -1. `[int32[4]]` is a list of arrays of four.
    """,
)

register_code(
    "TP115",
    "a ModelConfig field that can't be set",
    """
    `[pipeline.triton.NODE]` holds fields of Triton's ModelConfig in JSON form, which are merged last. Names, inputs,
    outputs, batch size and ensemble steps follow from the pipeline and can't be set there.

        [pipeline.triton.classifier]
        instance_group = [{count = 4, kind = "KIND_CPU"}]
    """,
)

register_code(
    "TP116",
    "a target or runtime that is not built",
    "This version compiles for `--target cpu` with `--runtime python`; the other targets come later.",
)

# --- TP2xx: graph ----------------------------------------------------------------------------------------------------

register_code(
    "TP201",
    "unknown node",
    """
    `next` (or an option on the command line) names a node that the file does not have.
    """,
)

register_code(
    "TP202",
    "the nodes form a cycle",
    """
    Following `next` from a node leads back to it. A request would never end; the message shows the way round.
    """,
)

register_code(
    "TP203",
    "two roots join",
    """
    A request enters at one root. A node that waits for nodes of another root as well would wait for ever (the
    original hangs).
    """,
)

register_code(
    "TP204",
    "several nodes go on to one",
    """
    A node with several predecessors needs a `map` that says which keys come from which of them.
    """,
)

register_code("TP205", "no node", "The file has no table, so there is nothing to run.")

register_code(
    "TP208",
    "an operator that never runs",
    """
    Between two operators the `result` of the first becomes the `data` of the second; where there is none, the item
    ends. Here there never is one.
    """,
)

register_code(
    "TP209",
    "a declared input that nothing reads",
    """
    `[pipeline.inputs]` declares a key which no node reads before another node writes it.
    """,
)

register_code(
    "TP210",
    "an output that does not exist",
    """
    `[pipeline] outputs` names a key that is not there at the end of the pipeline. The hint lists those that are.
    """,
)

register_code(
    "TP211",
    "a key that is input and output",
    """
    A Triton model can't have an input and an output of one name. Copy the key to another name and answer that one.
    """,
)

register_code("TP212", "no output", "At the end of the pipeline no key is left that could be answered.")

register_code(
    "TP290",
    "control flow",
    """
    Filters, maps, fallbacks and sub-graph calls belong to pipelines with more than one path, which this version of
    tpgen does not compile yet.
    """,
)

register_code("TP291", "branches", "A node goes on to several nodes, which this version does not compile yet.")

register_code("TP292", "logical nodes", "Nested tables are logical nodes, which this version does not compile yet.")

register_code(
    "TP293",
    "instance groups",
    "Batch ranges per instance group (`1&4`) are not compiled by this version yet; one range serves every size.",
)

# --- TP3xx: types ----------------------------------------------------------------------------------------------------

register_code(
    "TP301",
    "another kind of value is needed",
    """
    An operator gets bytes, an array, a text or a list and needs another of these, for example an image operator
    in front of which nothing decodes the image.
    """,
)

register_code(
    "TP302",
    "another layout is needed",
    """
    Image operators work on `[H,W,C]`, models usually on `[C,H,W]`. `Mat2Tensor` moves the channels to the front,
    `Tensor2Mat` to the back.
    """,
)

register_code(
    "TP303",
    "the colour order is wrong, or not known",
    """
    `DecodeMat` gives BGR, most models want RGB: `cvtColorMat` with `color = "rgb"` stands between them. What a model
    wants is taken from `input_color`, else from the order of ImageNet's `mean`. An image that enters as an array has
    the colour order that `[pipeline.inputs]` declares.
    """,
)

register_code(
    "TP304",
    "sizes that don't meet",
    """
    The size of a dimension, or the number of dimensions, is not what the operator or the model takes, for example a
    `ResizeMat` to 256 before a model whose input is fixed at 224.
    """,
)

register_code("TP305", "another element type is needed", "The array's element type is not one that the operator takes.")

register_code(
    "TP306",
    "a model with several inputs gets one value",
    """
    A model with several inputs takes them from keys of their ONNX names, or from `data` if that is the tuple of
    another model's outputs.
    """,
)

register_code(
    "TP307",
    "a key that may not be there",
    """
    The operator reads a key which nothing before it writes, or which can be absent at this point.
    """,
)

register_code(
    "TP308",
    "a value that cannot leave the server",
    """
    Arrays, bytes, texts and lists of them can be answered; other Python objects cannot.
    """,
)

# --- TP4xx: models --------------------------------------------------------------------------------------------------

register_code(
    "TP401",
    "a model file does not exist",
    """
    Paths are relative to the TOML file. Where the model lies elsewhere, name it for one build with
    `--model NODE=PATH`. The models of the examples are written by the script beside them.
    """,
)

register_code(
    "TP402",
    "a model file is not an ONNX model",
    """
    The file is something else (the message says what it looks like), was cut off while it was copied, or is longer
    than the 2 GiB that protobuf and onnxruntime can read. Checkouts without Git LFS hold a pointer of a few lines in
    place of the model:

        $ git lfs pull

    Checkpoints (.pt, .pth, .h5, safetensors) have no graph, or one that no server runs: export them to ONNX first.
    A larger model is saved with its weights in a second file:

        onnx.save(model, "big.onnx", save_as_external_data=True)
    """,
)

register_code(
    "TP403",
    "a model's external data is missing",
    """
    Large models keep their weights in a second file, which the ONNX file names. It has to lie in the folder of the
    ONNX file, or below it, and has to be the one that was written with it. Copy both, always together.
    """,
)

register_code(
    "TP404",
    "a model has an input or output that Triton can't carry",
    """
    Only dense tensors of the types bool, (u)int8 to (u)int64, float16, bfloat16, float32, float64 and string can be
    sent. Sequences, maps, optional and sparse values can't. Classifiers of scikit-learn have such an output unless
    they are converted without it:

        to_onnx(classifier, sample, options={"zipmap": False})
    """,
)

register_code(
    "TP405",
    "onnxruntime refuses a model",
    """
    The file is an ONNX model, but onnxruntime can't load it; the message holds its reason. Frequent ones: operators
    of another framework's own domain, an operator set that is newer than the installed onnxruntime, and graphs whose
    types don't fit. `python -m onnx.checker model.onnx` or the exporter's own check often says more.
    """,
)

register_code(
    "TP406",
    "a model's batch size is fixed, and max is larger",
    """
    The model was exported for one item (or a fixed number), and the node asks for batches. Ways out, the best first:

    * Export it again with a dynamic first axis (torch.onnx.export: `dynamic_axes={"input": {0: "N"}}`).
    * `tpgen build --dynamic-batch`: a copy of the model is rewritten, and it is proved with onnxruntime that a batch
      gives what its items give one by one.
    * `max = 1`.
    """,
)

register_code(
    "TP407",
    "a model can't take what the pipeline wants to hand it",
    """
    A step before the model (mean and std, channel order, layout, cast) was to move into the model, and doesn't fit
    it: `mean` and `std` need one value, or one for each channel of the input, and an input of floats.

        mean = "123.675, 116.28, 103.53"     # for an input of 3 channels
    """,
)

register_code(
    "TP408",
    "a model can't be rewritten for batches",
    """
    `--dynamic-batch` rewrites a copy of a model that was exported for one item, and accepts the copy only if each
    item of a batch gets the answer that the model gives to it alone. The message names the graph node at which that
    ends, and what it does there: mixing items, a size that is written into the graph, or a random number.

    Export the model again with a dynamic first axis, or set `max = 1`.
    """,
)

# --- TP6xx: repository writing ------------------------------------------------------------------------------------

register_code(
    "TP601",
    "the output can't be a directory",
    """
    `-o` names a model repository, which is a directory. There is a file of that name, or the path leads through one.

        $ tpgen build ocr.toml -o model_repository
    """,
)

register_code(
    "TP602",
    "the output directory can't be read or written",
    """
    This user may not write to the directory, or it lies on a read-only file system. A repository that is already as
    the build would leave it needs no right to write.

        $ tpgen build ocr.toml -o ~/model_repository
    """,
)

register_code(
    "TP603",
    "writing the repository failed",
    """
    The disk is full or has an error. The files are prepared beside the repository and put in place at the end, so the
    repository is as it was before the build, and what had been prepared is removed.
    """,
)

register_code(
    "TP604",
    "tpgen.json can't be understood",
    """
    The repository's `tpgen.json` lists which models and files are tpgen's. It is damaged, or a newer version of tpgen
    wrote it. Nothing is written, because without it nobody knows what may be replaced.

    Use the newer version, build into another directory, or delete the directory if nothing in it is your own.
    """,
)

register_code(
    "TP605",
    "the place of a file or model is taken",
    """
    The repository has an entry of that name which tpgen did not write, and such entries are never touched. Frequent
    causes: a model of your own has the name of the pipeline, or `-o .` names a project's directory with its own
    `requirements.txt`.

    Rename the pipeline (`[pipeline] name = "..."`), move the entry away, or build into a directory of its own.
    """,
)

register_code(
    "TP606",
    "two pipelines want one name",
    """
    A repository holds any number of pipelines, and each model name belongs to one of them. A pipeline is named by
    `[pipeline] name`, else by its file, else (`pipeline.toml`) by its folder.

        [pipeline]
        name = "ocr_receipts"
    """,
)

register_code(
    "TP607",
    "another tpgen is writing the repository",
    """
    One build at a time writes a repository; a second one waits for it and gives up after a minute. A build that was
    killed does not hold others up.
    """,
)

register_code(
    "TP608",
    "something changed during the build",
    """
    A model file, or a file of the repository, was changed by somebody else while the build was at work. Nothing was
    written. Build again.
    """,
)

register_code(
    "TP609",
    "a write was interrupted and can't be finished",
    """
    A build was stopped while it put its files in place, and finishing its journal failed. Remove the cause that the
    message names; the next `tpgen build` or `tpgen serve` of the directory finishes the write.
    """,
)

register_code(
    "TP610",
    "files of yours are kept in a generated model",
    """
    A model directory that tpgen wrote holds files that it did not write, for example a second version or
    `configs/h100.pbtxt`. They stay where they are as long as the model exists.
    """,
)

register_code(
    "TP611",
    "an edited file is replaced",
    """
    A generated file had been edited by hand, or a model that disappears held a file of yours. The build is the only
    author of its files, so it replaces or removes them, and keeps your version in `.NAME.tpgen-backup` beside the
    repository `NAME` (in files `.tpgen-backup-...` inside it where it is a mount point).

    Settings of a model belong in the TOML, so that they survive the next build:

        [pipeline.triton.detector]
        dynamic_batching = {max_queue_delay_microseconds = 500}
    """,
)

register_code(
    "TP612",
    "a pipeline is replaced by one from another file",
    """
    The repository had a pipeline of this name that was built from a file of another name. If the file was renamed, all
    is well. If both are wanted, give one of them another name: `[pipeline] name = "..."`.
    """,
)

register_code(
    "TP613",
    "a deleted pipeline is forgotten",
    """
    All model directories of a pipeline had been deleted from the repository, so it is no longer listed in `tpgen.json`
    and its requirements leave `requirements.txt`.
    """,
)

register_code(
    "TP620",
    "a setting that the target Triton does not know",
    """
    Triton refuses to load a model whose configuration has a field that it does not know. This field came with a later
    release than the one that the build is for.

        [pipeline]
        target_triton = "25.11"      # default: 24.10
    """,
)

# --- TP7xx: server, verify, perf ----------------------------------------------------------------------------------

register_code(
    "TP701",
    "the server can't load a model",
    """
    tritonserver read the repository and refused a model, or the model's own code failed while it was loaded. The
    message holds the server's reason; for a Python model that is its exception, with the line.

        error[TP701]: the server can't load model 'ocr': ModuleNotFoundError: No module named 'shapely'
          help: the server's Python lacks the package: pip install -r requirements.txt …

    Models that use the refused one (ensembles) fail with it; the first reason is the one to look at.
    """,
)

register_code(
    "TP702",
    "the server ended while it started",
    """
    tritonserver ended before its models were ready and named no model as the reason: a wrong flag, a crash, or the
    system ended it for want of memory. The message shows the last lines of its log.
    """,
)

register_code(
    "TP703",
    "the server hangs while it starts",
    """
    tritonserver was still starting, but neither wrote to its log nor used the processor any more. Server 24.10 waits
    for ever where a model's folder has a space in its name, where `model.py` is missing in the version folder, and
    where a model's `initialize` waits for something that does not come (a download, a lock, a call to another model).

    The message names the models that were not ready. A start that is slow but works is not ended by this; raise the
    start-up time if a model loads longer than allowed.
    """,
)

register_code(
    "TP704",
    "a port is in use",
    """
    Another process listens on the HTTP, gRPC or metrics port, often a server that was started earlier.

        $ tpgen serve model_repository --http-port 8010 --grpc-port 8011 --metrics-port 8012

    Port 0 takes any free one.
    """,
)

register_code(
    "TP705",
    "there is nothing to serve",
    """
    The folder is not a model repository: it does not exist, is empty, or lacks the `requirements.txt` that an isolated
    server needs. `tpgen build` writes one, by default to `./model_repository`.
    """,
)

register_code(
    "TP706",
    "the model to send to can't be chosen",
    """
    The server has no model of that name, or no name was given and it serves more than one entry model. Name one:

        $ tpgen perf model_repository --model ocr --input data=@page.jpg
    """,
)

register_code(
    "TP707",
    "perf_analyzer could not measure",
    """
    The load generator ended without figures. The message holds its own words: a model whose inputs it can't send, a
    server that went away, or answers so slow that not one arrived within the measurement window.
    """,
)

register_code(
    "TP708",
    "a sample can't be sent, or the model refuses it",
    """
    Load is measured with samples that the model answers. Each sample is sent once beforehand; this one does not fit
    the model's inputs, or its request failed. Correct the `--input` that the message names.
    """,
)

register_code(
    "TP711",
    "the TOML file of a repository is not there",
    """
    `tpgen verify DIR` compares with the reference, which is made from the TOML file. It is looked for beside the
    repository and in the current folder, by the name that `tpgen.json` records.

        $ tpgen verify pipelines/ocr.toml
    """,
)
