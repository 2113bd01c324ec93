"""Every diagnostic code, with the page that `tpgen explain CODE` shows.

One `register_code` call per code, sorted. A page says what is wrong, shows a small example and the way out.
Ranges: TP0xx TOML and files; TP1xx keys, values, names, backend expressions; TP2xx graph; TP3xx types;
TP4xx models; TP5xx user code; TP6xx repository writing; TP7xx server, verify, perf; TP8xx lint of a
repository; TP9xx decisions.
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


# --- TP0xx: TOML and files ----------------------------------------------------------------------------------

register_code(
    "TP001",
    "a file can't be read",
    """
    The file named on the command line, or by another file, does not exist, is a folder, may not be read
    by this user, or is far larger than any pipeline description (16 MiB).

        $ tpgen build my_pipelines/

    Name the TOML file itself, and check its path and permissions:

        $ tpgen build my_pipelines/ocr.toml
    """,
)

register_code(
    "TP002",
    "a file is not UTF-8",
    """
    TOML files are UTF-8. Some editors save UTF-16 or a national encoding such as Latin-1 or GBK, and a
    model or an image given in place of the TOML file isn't text at all. The message names the first
    byte that doesn't fit.

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

    A table or key may be given once only. A file with more than 16 levels of nesting, or more than
    200,000 keys and array items, is refused as well: no pipeline looks like that.
    """,
)

register_code(
    "TP009",
    "more errors than are shown",
    """
    After 100 errors the compiler stops looking. So many mostly have one cause, such as a file that is no
    pipeline at all, or a key that was renamed everywhere. Correct the first ones and check again.
    """,
)

# --- TP1xx: keys, values, names, backend expressions --------------------------------------------------------

register_code(
    "TP101",
    "unknown operator",
    """
    A name in `backend` is no operator of the dialect, of tpgen, or of an installed operator package.

        backend = "Sequential[DecodeMat,ResizeMta]"     # ResizeMat is meant

    `docs/operators.md` lists all operators. Your own code is called with `backend =
    "Python[module:name]"`.
    """,
)

register_code(
    "TP102",
    "unknown key",
    """
    No operator of the node takes this key, and it is no key of nodes in general. The original silently
    ignores such keys, so that a typing error changes what is computed.

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
    The key needs a number, a list, true or false, or a string, and has something else. Numbers and
    lists may be written in TOML's own form or, as the dialect does, as strings.

        resize_h = true              # a number is needed

    Either of these will do:

        resize_h = 224
        resize_h = "224"
        mean = [123.675, 116.28, 103.53]
        mean = "123.675, 116.28, 103.53"
    """,
)

register_code(
    "TP104",
    "a value out of range",
    """
    The number is smaller or larger than what the key can take. The message names the bound,
    `docs/operators.md` lists those of all keys.

        [resnet50]
        instance_num = 0             # at least 1

    Give a number inside the bounds, or leave the key out for its default.
    """,
)

register_code(
    "TP105",
    "not one of the possible values",
    """
    The key takes one of a few words, which the hint lists.

        color = "grb"

    Write one of them:

        color = "rgb"
    """,
)

register_code(
    "TP106",
    "too many arguments, or one given twice",
    """
    The parentheses behind an operator hold values for its keys. Each key is named once; values without
    a name fill the keys in the order of `docs/operators.md`.

        backend = "Sequential[DecodeMat,ResizeMat(resize_h=224,resize_h=256)]"

    Name each key once, or move the values to keys of the node:

        backend = "Sequential[DecodeMat,ResizeMat(resize_h=224,resize_w=256)]"
    """,
)

register_code(
    "TP107",
    "an a|b|c value with the wrong number of parts",
    """
    In a node with several operators, `|` separates the values of a key by operator. There must be one
    part per operator; an empty part gives that operator nothing.

        backend = "Sequential[DecodeMat,cvtColorMat,ResizeMat]"
        color = "bgr|rgb"            # two parts for three operators

    Give each operator its part, or write one value for all:

        color = "|rgb|"
        color = "rgb"
    """,
)

register_code(
    "TP108",
    "a required key is missing",
    """
    The operator can't work without this key.

        [resize]
        backend = "ResizeMat"        # needs resize_h and resize_w

    Add it to the node, to one operator (`ResizeMat(resize_h=224)`), or at the top of the file for all
    nodes.
    """,
)

register_code(
    "TP109",
    "a name that can't be used",
    """
    Names of pipelines and nodes become names of Triton models, directories and metrics: letters,
    digits, `_`, `.` and `-`, first a letter or digit, and no `__`, which separates pipeline and node.
    Words that the dialect gives a meaning (`global`, `default`, `data`, `result` and others) are no
    node names either.

        ["text detector"]

    Rename the node, and what names it in `next`:

        [text_detector]
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
    In a sequence, `(filter)Operator` decides whether the operator runs after the one before it. The
    first operator has none before it.

        backend = "Sequential[(Run)DecodeMat,ResizeMat]"

    Leave that filter out:

        backend = "Sequential[DecodeMat,(Run)ResizeMat]"
    """,
)

register_code(
    "TP112",
    "brackets behind an operator that holds none",
    """
    Only containers such as `Sequential[...]` hold operators in brackets.

        backend = "ResizeMat[DecodeMat]"

    Put several operators in a container. Values of an operator stand in parentheses, or as keys of the
    node:

        backend = "Sequential[DecodeMat,ResizeMat(resize_h=224,resize_w=224)]"
    """,
)

register_code(
    "TP113",
    "an operator that tpgen does not compile",
    """
    TorchPipe has this operator, tpgen does not compile it. The hint says why and what to use in its
    place; `docs/operators.md` lists all of them.

        backend = "SoftmaxTensor"

    Here that is

        backend = "Softmax"
    """,
)

register_code(
    "TP114",
    "not a type",
    """
    The types in `[pipeline.inputs]` are `bytes`, `string`, or an element type with dimensions, and for
    an image its colour order:

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
    `[pipeline.triton.NODE]` holds fields of Triton's ModelConfig in JSON form, which are merged last.
    Names, inputs, outputs, batch size and ensemble steps follow from the pipeline and can't be set
    there.

        [pipeline.triton.classifier]
        instance_group = [{count = 4, kind = "KIND_CPU"}]
    """,
)

register_code(
    "TP116",
    "a target or runtime that is not built",
    """
    This version compiles for one target with one runtime. A file that asks for another is refused, so
    that nobody measures something else than what was asked for.

        $ tpgen build ocr.toml --target gpu

    Build for the target that there is:

        $ tpgen build ocr.toml --target cpu --runtime python
    """,
)

register_code(
    "TP117",
    "brackets that say something else than the operator takes",
    """
    The operators on keys take a list in their brackets: pairs with a colon, or names of keys. Each key can
    be written once, and `AddInt` takes whole numbers.

        backend = "Sequential[DecodeMat,Copy[data=image]]"      # no pair
        backend = "AddInt[retries:many]"                        # no number

    Written so that it works:

        backend = "Sequential[DecodeMat,Copy[data:image]]"
        backend = "AddInt[retries:3]"
    """,
)

register_code(
    "TP118",
    "a file that an operator names can't be read",
    """
    The file isn't there, or may not be read by this user. Paths are relative to the TOML file, and the
    file is copied into the repository.

        labels = "labels.txt"            # beside the TOML file

    Put the file there, or correct the path.
    """,
)

# --- TP2xx: graph -------------------------------------------------------------------------------------------

register_code(
    "TP201",
    "unknown node",
    """
    `next`, or an option on the command line, names a node that the file does not have.

        [decoder]
        backend = "DecodeMat"
        next = "resnet5O"            # a letter for a digit

        [resnet50]

    Write the name as the table has it; the hint shows the one that looks most like it.
    """,
)

register_code(
    "TP202",
    "the nodes form a cycle",
    """
    Following `next` from a node leads back to it, so a request would never end. The message shows the
    way round.

        [a]
        next = "b"

        [b]
        next = "a"

    Leave out the `next` that leads back. Repeating a part for the elements of a list is a sub-graph
    call, not a cycle.
    """,
)

register_code(
    "TP203",
    "two roots join",
    """
    A request enters at one root, a node that no `next` names. A node that waits for nodes of another
    root as well would wait for ever (TorchPipe hangs).

        [left]
        next = "joined"

        [right]
        next = "joined"

    Give each root its own copy of what follows, or start both from one node in front.
    """,
)

register_code(
    "TP204",
    "several nodes go on to one",
    """
    Several nodes go on to this one. Their items have to become one, and only a `map` can say which keys
    come from which of them:

        [joined]
        map = "left[result:data],right[result:boxes]"

    This version compiles single chains; let one node go on to it.
    """,
)

register_code(
    "TP205",
    "no node",
    """
    The file has no table, so there is nothing to run. Each table is a node; what stands above the first
    is a default for all of them.

        precision = "fp16"

    Add a node:

        precision = "fp16"

        [resnet50]
        backend = "TensorrtTensor"
        model = "resnet50.onnx"
    """,
)

register_code(
    "TP206",
    "more nodes than a pipeline can have",
    """
    A file with more than 10,000 nodes, or a node with more than 1,000 operators, is refused: no pipeline
    looks like that, and the server would not load what came out of it.

    If it should be one, split it into several files; one repository can hold them all.
    """,
)

register_code(
    "TP208",
    "an operator that never runs",
    """
    Between two operators the `result` of the first becomes the `data` of the second; where there is no
    result, the item ends. Here the operator in front never writes one, so what follows would never run.

        @op(inputs={"data": Tensor("uint8", ["H", "W", 3])}, outputs={"boxes": Tensor("float32", ["N", 4])})
        def find(data): ...

        backend = "Sequential[DecodeMat,Python[mine:find],ResizeMat]"

    Let it write `result` as well, or put it last.
    """,
)

register_code(
    "TP209",
    "a declared input that nothing reads",
    """
    `[pipeline.inputs]` declares a key that no node reads before another node writes it, so a client
    would send it for nothing.

        [pipeline.inputs]
        data = "bytes"
        dta = "bytes"

    Correct the name, or take the line out.
    """,
)

register_code(
    "TP210",
    "an output that does not exist",
    """
    `[pipeline] outputs` names a key that is not there at the end of the pipeline. The hint lists those
    that are.

        [pipeline]
        outputs = "scores"           # the last node writes result and score

    Name keys that the pipeline writes and no operator removes.
    """,
)

register_code(
    "TP211",
    "a key that is input and output",
    """
    A key is an input of the pipeline and one of its outputs. A Triton model can't have an input and an
    output of one name.

        [pipeline]
        outputs = ["result", "boxes"]    # boxes comes from the client

    Leave it out of the outputs, as the client has it already, or copy it to another name and answer
    that one:

        backend = "Sequential[DecodeMat,CropMat,Copy[boxes:boxes_out]]"

        [pipeline]
        outputs = ["result", "boxes_out"]
    """,
)

register_code(
    "TP212",
    "no output",
    """
    At the end of the pipeline there is no `result`, and no other key was named that could be answered.

    Let the last node write `result`, or name the keys that clients need:

        [pipeline]
        outputs = ["boxes", "scores"]
    """,
)

register_code(
    "TP290",
    "control flow",
    """
    Filters, maps, fallbacks and sub-graph calls belong to pipelines with more than one path, which this
    version does not compile yet.

        [rotate]
        filter = "HasKey[angle]"

    Until then, compute the decision in an operator of your own, which hands the item on unchanged where
    there is nothing to do: `backend = "Python[module:name]"`.
    """,
)

register_code(
    "TP291",
    "branches",
    """
    A node goes on to several nodes, which this version does not compile yet.

        [decoder]
        next = "detector,classifier"

    Until then, compile one pipeline for each branch; both can be written to one repository:

        $ tpgen build detector.toml classifier.toml -o model_repository
    """,
)

register_code(
    "TP292",
    "logical nodes",
    """
    Nested tables are logical nodes: `[rec.2]` runs the instances of `[rec]` at a second place. This
    version does not compile them yet.

        [rec]
        backend = "TensorrtTensor"

        [rec.2]

    Until then, write a node of its own with the same keys, `[rec_2]`.
    """,
)

register_code(
    "TP293",
    "instance groups",
    """
    Values separated by `&` give a node several groups of instances with batch ranges of their own,
    which this version does not compile yet.

        max = "1&4"
        instance_num = "1&2"

    One range serves every batch size, and Triton's batcher fills it:

        max = 4
        instance_num = 3
    """,
)

register_code(
    "TP294",
    "an entry inside a chain",
    """
    `[pipeline] entries` names nodes that clients may enter at besides the roots. This version compiles
    only roots, nodes that no `next` names.

        [pipeline]
        entries = ["classifier"]     # [detector] goes on to it

    Until then, write a pipeline that begins with that node; both can be written to one repository:

        $ tpgen build whole.toml classifier.toml -o model_repository
    """,
)

# --- TP3xx: types -------------------------------------------------------------------------------------------

register_code(
    "TP301",
    "another kind of value is needed",
    """
    An operator gets bytes, an array, a text or a list, and needs another of these.

        backend = "Sequential[ResizeMat,Mat2Tensor]"     # but bytes arrive

    Put the operator between that makes one of the other, here a decoder:

        backend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"
    """,
)

register_code(
    "TP302",
    "another layout is needed",
    """
    Image operators work on `[H,W,C]`, most models on `[C,H,W]`.

        backend = "Sequential[DecodeMat,Mat2Tensor,ResizeMat]"

    `Mat2Tensor` moves the channels to the front, `Tensor2Mat` to the back; put it where the layout
    changes:

        backend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"
    """,
)

register_code(
    "TP303",
    "the colour order is wrong, or not known",
    """
    The channels arrive in another order than the one needed, or in one that nobody declared.
    `DecodeMat` gives BGR, most models want RGB. What a model wants is taken from `input_color`, else
    from the order of ImageNet's `mean`.

    Put the conversion in front of the model, or say that the model is trained on what arrives:

        backend = "Sequential[DecodeMat,cvtColorMat(color=rgb),Mat2Tensor]"
        input_color = "bgr"

    An image that enters as an array has the order that its declaration says:

        [pipeline.inputs]
        data = "uint8[H,W,3] rgb"
    """,
)

register_code(
    "TP304",
    "sizes that don't meet",
    """
    The size of a dimension, or the number of dimensions, is not what the operator or the model takes.

        [cpu_decoder]
        backend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"
        resize_h = 256
        resize_w = 256
        next = "resnet50"            # its ONNX input is [N,3,224,224]

    Let both agree: change the operator's size, or export the model with dynamic axes.
    """,
)

register_code(
    "TP305",
    "another element type is needed",
    """
    The array's element type is not one that the operator takes.

        backend = "Sequential[DecodeMat,Mat2Tensor,IndexSelectTensor]"    # indices are integers

    Put an operator in front that gives the type which the message names, or declare the input with it:

        [pipeline.inputs]
        data = "int64[N]"
    """,
)

register_code(
    "TP306",
    "a model with several inputs gets one value",
    """
    A model with several inputs takes them from keys of their ONNX names, or from `data` if that is the
    tuple of another model's outputs. Here there is only one value for them.

        [pipeline.inputs]
        data = "float32[3,224,224]"      # the model has the inputs image and scale

    Name the inputs as the model does:

        [pipeline.inputs]
        image = "float32[3,224,224]"
        scale = "float32[2]"
    """,
)

register_code(
    "TP307",
    "a key that may not be there",
    """
    The operator reads a key that nothing before it writes, that was removed, or that can be absent at
    this point.

        backend = "Sequential[DecodeMat,Remove[_box],CropMat]"    # CropMat reads _box

    Write the key in front of the operator, or remove it behind:

        backend = "Sequential[DecodeMat,CropMat,Remove[_box]]"
    """,
)

register_code(
    "TP308",
    "a value that cannot leave the server",
    """
    Arrays, bytes, texts and lists of them can be answered. Other Python objects live inside one stage
    and can't leave the server.

        [pipeline]
        outputs = "context"

    Name other keys, or turn the object into arrays or text in an operator of your own:

        @op(outputs={"result": Tensor("string", [])})
        def describe(context): ...
    """,
)

# --- TP4xx: models ------------------------------------------------------------------------------------------

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
    The file is something else (the message says what it looks like), was cut off while it was copied,
    or is longer than the 2 GiB that protobuf and onnxruntime can read. Checkouts without Git LFS hold a
    pointer of a few lines in place of the model:

        $ git lfs pull

    Checkpoints (.pt, .pth, .h5, safetensors) have no graph, or one that no server runs: export them to
    ONNX first. A larger model is saved with its weights in a second file:

        onnx.save(model, "big.onnx", save_as_external_data=True)
    """,
)

register_code(
    "TP403",
    "a model's external data is missing",
    """
    Large models keep their weights in a second file, which the ONNX file names. It has to lie in the
    folder of the ONNX file, or below it, and has to be the one that was written with it. Copy both,
    always together.
    """,
)

register_code(
    "TP404",
    "a model has an input or output that Triton can't carry",
    """
    Only dense tensors of the types bool, (u)int8 to (u)int64, float16, bfloat16, float32, float64 and
    string can be sent. Sequences, maps, optional and sparse values can't. Classifiers of scikit-learn
    have such an output unless they are converted without it:

        to_onnx(classifier, sample, options={"zipmap": False})
    """,
)

register_code(
    "TP405",
    "onnxruntime refuses a model",
    """
    The file is an ONNX model, but onnxruntime can't load it; the message holds its reason. Frequent
    ones: operators of another framework's own domain, an operator set that is newer than the installed
    onnxruntime, and graphs whose types don't fit. `python -m onnx.checker model.onnx` or the exporter's
    own check often says more.
    """,
)

register_code(
    "TP406",
    "a model's batch size is fixed, and max is larger",
    """
    The model was exported for one item (or a fixed number), and the node asks for batches. Ways out,
    the best first:

    * Export it again with a dynamic first axis (torch.onnx.export: `dynamic_axes={"input": {0: "N"}}`).
    * `tpgen build --dynamic-batch`: a copy of the model is rewritten, and it is proved with onnxruntime
      that a batch gives what its items give one by one.
    * `max = 1`.
    """,
)

register_code(
    "TP407",
    "a model can't take what the pipeline wants to hand it",
    """
    A step before the model (mean and std, channel order, layout, cast) was to move into the model, and
    doesn't fit it: `mean` and `std` need one value, or one for each channel of the input, and an input
    of floats.

        mean = "123.675, 116.28, 103.53"     # for an input of 3 channels
    """,
)

register_code(
    "TP408",
    "a model can't be rewritten for batches",
    """
    `--dynamic-batch` rewrites a copy of a model that was exported for one item, and accepts the copy
    only if each item of a batch gets the answer that the model gives to it alone. The message names the
    graph node at which that ends, and what it does there: mixing items, a size that is written into the
    graph, or a random number.

    Export the model again with a dynamic first axis, or set `max = 1`.
    """,
)

# --- TP5xx: user code ---------------------------------------------------------------------------------------

register_code(
    "TP501",
    "a user module can't be found or read",
    """
    `Python[module:name]` names a module that lies beside the TOML file: `module.py`, or `module/__init__.py`
    for a package. A module inside a package is written with dots. The colon stands before the function.

        backend = "Python[postproces:keep_best]"     # the file is postprocess.py
        backend = "Python[postprocess.keep_best]"    # the colon is missing

    Correct the name, or put the file beside the TOML:

        backend = "Python[postprocess:keep_best]"
    """,
)

register_code(
    "TP502",
    "a user module is not Python",
    """
    The compiler reads user modules without running them. This one, or one that it imports from beside it,
    is not valid Python, or not UTF-8.

        $ python -m py_compile ops.py

    shows the same error.
    """,
)

register_code(
    "TP503",
    "there is no such function or class",
    """
    `Python[module:name]` names a function or class that is defined at the top level of the module, with
    `def` or `class`. A name that the module imports, or assigns, is not enough: what it declares could not be
    read there.

        from helpers import keep_best      # ops.py; so this fails: backend = "Python[ops:keep_best]"

    Name the module that defines it:

        backend = "Python[helpers:keep_best]"
    """,
)

register_code(
    "TP504",
    "a declaration that can't be read",
    """
    Types are read from the text of the file, which is never run. So what `@op` is given must be written
    out: dictionaries, lists, numbers, names in quotes, and constants of the same module.

        @op(outputs=make_types(6))                                   # only a run would tell
        @op(outputs={"result": Tensor("float32", ["N", SIZE * 2])})  # computed

    For example:

        @op(inputs={"data": Tensor("float32", ["N", 4])}, outputs={"result": Tensor("float32", ["N", 6])})
        def grow(data, *, ratio=1.5):
            ...
    """,
)

register_code(
    "TP505",
    "a function that can't be an operator",
    """
    The positional parameters of a function (of a class: of its `__call__`) are keys of the item and have no
    defaults; its keyword-only parameters (of a class: those of `__init__`) come from TOML keys.

        def keep_best(data, score=0.5): ...      # a key with a default

    Write a star between the two kinds:

        def keep_best(data, *, score=0.5): ...

    `inputs` declares parameters that exist; a class needs `__call__`; `async` functions and `*args` don't
    work; with `batch=True` at least one key is read, because it tells how many items there are.
    """,
)

register_code(
    "TP506",
    "a type that doesn't exist",
    """
    `Tensor(dtype, dims)` takes numpy's names of element types, `bytes` or `string`; a dimension is a
    positive number, a name in quotes (equal names in one declaration are equal sizes), or -1 for any size.

        Tensor("float", ["N", 0])

    For example:

        Tensor("float32", ["N", 4])
        Tensor("uint8", ["H", "W", 3], color="bgr")     # an image
        Tensor("bytes", [])
        [Tensor("int32", [4])]                          # a list of varying length
    """,
)

register_code(
    "TP507",
    "a user module with a name that is taken",
    """
    User modules come first when the server looks for modules. A file called like a module of Python's
    standard library, or like one that generated models use (numpy, cv2, model, stage ...), would take its
    place and break both.

    Give the file another name: `my_types.py` instead of `types.py`.
    """,
)

register_code(
    "TP510",
    "user code without types",
    """
    A function or class without `@op` works, but nobody knows the type of what it returns: it can be used
    by operators in the same stage that don't look at types, and it cannot be an output.

        def measure(data, *, scale=1.0):
            return {"mean": data.mean() * scale}

    Declared, it can leave the server:

        from tpgen_runtime import Tensor, op

        @op(outputs={"mean": Tensor("float32", [])})
        def measure(data, *, scale=1.0):
            return {"mean": float(data.mean()) * scale}
    """,
)

register_code(
    "TP511",
    "user code in TorchPipe's style",
    """
    A class with `init(params)` and `forward(items)` runs as it is. Which keys it reads and writes is taken
    from what `forward` does with the dictionaries; keys whose names are computed are not seen. The values
    have no types, so they cannot leave the server.

        class Measure:
            def init(self, params):
                self.scale = float(params["scale"])

            def forward(self, items):
                for item in items:
                    item["result"] = item["data"].mean() * self.scale

    With types, it can answer clients:

        @op(outputs={"result": Tensor("float32", [])})
        class Measure:
            def __init__(self, scale=1.0):
                self.scale = scale

            def __call__(self, data):
                return float(data.mean()) * self.scale
    """,
)

# --- TP6xx: repository writing ------------------------------------------------------------------------------

register_code(
    "TP601",
    "the output can't be a directory",
    """
    `-o` names a model repository, which is a directory. There is a file of that name, or the path leads
    through one.

        $ tpgen build ocr.toml -o model_repository
    """,
)

register_code(
    "TP602",
    "the output directory can't be read or written",
    """
    This user may not write to the directory, or it lies on a read-only file system. A repository that
    is already as the build would leave it needs no right to write.

        $ tpgen build ocr.toml -o ~/model_repository
    """,
)

register_code(
    "TP603",
    "writing the repository failed",
    """
    The disk is full or has an error. The files are prepared beside the repository and put in place at
    the end, so the repository is as it was before the build, and what had been prepared is removed.
    """,
)

register_code(
    "TP604",
    "tpgen.json can't be understood",
    """
    The repository's `tpgen.json` lists which models and files are tpgen's. It is damaged, or a newer
    version of tpgen wrote it. Nothing is written, because without it nobody knows what may be replaced.

    Use the newer version, build into another directory, or delete the directory if nothing in it is
    your own.
    """,
)

register_code(
    "TP605",
    "the place of a file or model is taken",
    """
    The repository has an entry of that name which tpgen did not write, and such entries are never
    touched. Frequent causes: a model of your own has the name of the pipeline, or `-o .` names a
    project's directory with its own `requirements.txt`.

    Rename the pipeline (`[pipeline] name = "..."`), move the entry away, or build into a directory of
    its own.
    """,
)

register_code(
    "TP606",
    "two pipelines want one name",
    """
    A repository holds any number of pipelines, and each model name belongs to one of them. A pipeline
    is named by `[pipeline] name`, else by its file, else (`pipeline.toml`) by its folder.

        [pipeline]
        name = "ocr_receipts"
    """,
)

register_code(
    "TP607",
    "another tpgen is writing the repository",
    """
    One build at a time writes a repository; a second one waits for it and gives up after a minute. A
    build that was killed does not hold others up.
    """,
)

register_code(
    "TP608",
    "something changed during the build",
    """
    A model file, or a file of the repository, was changed by somebody else while the build was at work.
    Nothing was written. Build again.
    """,
)

register_code(
    "TP609",
    "a write was interrupted and can't be finished",
    """
    A build was stopped while it put its files in place, and finishing its journal failed. Remove the
    cause that the message names; the next `tpgen build` or `tpgen serve` of the directory finishes the
    write.
    """,
)

register_code(
    "TP610",
    "files of yours are kept in a generated model",
    """
    A model directory that tpgen wrote holds files that it did not write, for example a second version
    or `configs/h100.pbtxt`. They stay where they are as long as the model exists.
    """,
)

register_code(
    "TP611",
    "an edited file is replaced",
    """
    A generated file had been edited by hand, or a model that disappears held a file of yours. The build
    is the only author of its files, so it replaces or removes them, and keeps your version in
    `.NAME.tpgen-backup` beside the repository `NAME` (in files `.tpgen-backup-...` inside it where it
    is a mount point).

    Settings of a model belong in the TOML, so that they survive the next build:

        [pipeline.triton.detector]
        dynamic_batching = {max_queue_delay_microseconds = 500}
    """,
)

register_code(
    "TP612",
    "a pipeline is replaced by one from another file",
    """
    The repository had a pipeline of this name that was built from a file of another name. If the file
    was renamed, all is well. If both are wanted, give one of them another name: `[pipeline] name =
    "..."`.
    """,
)

register_code(
    "TP613",
    "a deleted pipeline is forgotten",
    """
    All model directories of a pipeline had been deleted from the repository, so it is no longer listed
    in `tpgen.json` and its requirements leave `requirements.txt`.
    """,
)

register_code(
    "TP620",
    "a setting that the target Triton does not know",
    """
    Triton refuses to load a model whose configuration has a field that it does not know. This field
    came with a later release than the one that the build is for.

        [pipeline]
        target_triton = "25.11"      # default: 24.10
    """,
)

# --- TP7xx: server, verify, perf ----------------------------------------------------------------------------

register_code(
    "TP701",
    "the server can't load a model",
    """
    tritonserver read the repository and refused a model, or the model's own code failed while it was
    loaded. The message holds the server's reason; for a Python model that is its exception, with the
    line.

        error[TP701]: the server can't load model 'ocr': ModuleNotFoundError: No module named 'shapely'
          help: the server's Python lacks the package: pip install -r requirements.txt …

    Models that use the refused one (ensembles) fail with it; the first reason is the one to look at.
    """,
)

register_code(
    "TP702",
    "the server ended while it started",
    """
    tritonserver ended before its models were ready and named no model as the reason: a wrong flag, a
    crash, or the system ended it for want of memory. The message shows the last lines of its log.
    """,
)

register_code(
    "TP703",
    "the server hangs while it starts",
    """
    tritonserver was still starting, but neither wrote to its log nor used the processor any more.
    Server 24.10 waits for ever where a model's folder has a space in its name, where `model.py` is
    missing in the version folder, and where a model's `initialize` waits for something that does not
    come (a download, a lock, a call to another model).

    The message names the models that were not ready. A start that is slow but works is not ended by
    this; raise the start-up time if a model loads longer than allowed.
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
    The folder is not a model repository: it does not exist, is empty, or lacks the `requirements.txt`
    that an isolated server needs. `tpgen build` writes one, by default to `./model_repository`.
    """,
)

register_code(
    "TP706",
    "the model to send to can't be chosen",
    """
    The server has no model of that name, or no name was given and it serves more than one entry model.
    Name one:

        $ tpgen perf model_repository --model ocr --input data=@page.jpg
    """,
)

register_code(
    "TP707",
    "perf_analyzer could not measure",
    """
    The load generator ended without figures. The message holds its own words: a model whose inputs it
    can't send, a server that went away, or answers so slow that not one arrived within the measurement
    window.
    """,
)

register_code(
    "TP708",
    "a sample can't be sent, or the model refuses it",
    """
    Load is measured with samples that the model answers. Each sample is sent once beforehand; this one
    does not fit the model's inputs, or its request failed. Correct the `--input` that the message
    names.
    """,
)

register_code(
    "TP711",
    "the TOML file of a repository is not there",
    """
    `tpgen verify DIR` compares with the reference, which is made from the TOML file. It is looked for
    beside the repository and in the current folder, by the name that `tpgen.json` records.

        $ tpgen verify pipelines/ocr.toml
    """,
)

register_code(
    "TP720",
    "no server answers",
    """
    Nothing listens at the address, or what listens there isn't a Triton server. A server that was just
    started needs some time to load its models. Start one, and take the URL that it prints:

        $ tpgen serve model_repository
        $ tpgen perf http://127.0.0.1:8000 --model ocr --input data=@page.jpg

    A scheme decides the protocol: `http://` for port 8000, `grpc://` for port 8001 by default.
    """,
)

register_code(
    "TP721",
    "an input can't be read",
    """
    `--input KEY=@PATH` takes the bytes of a file, or the array in a `.npy` file. The file isn't there,
    may not be read, or is no array of numbers (arrays of Python objects are not loaded). Several values
    of a key are several samples; a key that is given once goes to all of them, and any other number of
    values has to be the same for every key:

        $ tpgen run ocr.toml --input data=@a.jpg --input data=@b.jpg --input score=0.5
    """,
)

register_code(
    "TP722",
    "an input doesn't fit the pipeline",
    """
    Each input of the entry has a type, which `tpgen explain PIPELINE.toml` prints. A value is converted
    where it doesn't change by that (3 becomes 3.0, text becomes UTF-8 bytes), and refused otherwise:

        --input data=cat.jpg       # the text "cat.jpg"
        --input data=@cat.jpg      # the bytes of the file
        --input data=@cat.npy      # the array in the file
        --input 'boxes=[[1, 2, 3, 4]]'
        --input 'name="123"'       # text that looks like a number
    """,
)

register_code(
    "TP723",
    "a sample fails in the pipeline",
    """
    An operator can't work on the sample: the message names the node, its line and the reason, as the
    server's answer would. Undecodable images and empty crops are the frequent ones. A message that
    begins with a Python exception is an error in an operator, of the user's own or of tpgen.
    """,
)

register_code(
    "TP724",
    "served answers differ from the reference",
    """
    The server's answer for at least one input is not what the pipeline means, within the tolerance; the
    table says which output, in which mode and for which inputs. If it differs in the modes `concurrent`
    or `batched` only, look for an operator that keeps something between items, or a model whose rows
    influence each other. If it differs everywhere, and by little, the model is sensitive to the last
    bits of its input: compare `tpgen run` with and without `--reference`, and set `--tolerance`.
    """,
)

register_code(
    "TP725",
    "the server ended",
    """
    The server ran and then ended by itself or was ended from outside; the message holds its last words.
    By signal 9 it is mostly the system, for want of memory: `tpgen explain PIPELINE.toml` prints how
    much a repository needs.
    """,
)

register_code(
    "TP790",
    "something is missing on this machine",
    """
    A program or library that the command needs isn't installed. The message says which, and mostly the
    command that installs it. The pipeline itself isn't at fault, and the exit status is 3.
    """,
)

register_code(
    "TP791",
    "the command line is wrong",
    """
    An option or argument is unknown, missing or malformed; the exit status is 2. `tpgen COMMAND --help`
    lists what a command takes.
    """,
)

register_code(
    "TP799",
    "a bug in tpgen",
    """
    Something happened that no input may cause; the exit status is 70. The message names a file with the
    details: please report it together with the pipeline. Nothing was written to the repository, or the
    next build repairs it.
    """,
)
