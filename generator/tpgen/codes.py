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

register_code(
    "TP119",
    "an operator package that can't be loaded",
    """
    An installed package declares operators through the entry point `tpgen.operators`, but importing it
    fails, or an operator has a name that is taken or an attribute of a type that no TOML value has.

        @operator("AcmeAdd", group="acme", kernel="acme_ops.kernels:add")
        class AcmeAdd(Op):
            amount: complex = attr("What is added.")        # int, float, bool, str or tuples of these

    Correct the package, or uninstall it: no pipeline needs it that does not name its operators.
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
    "TP207",
    "no input",
    """
    Nothing in the pipeline reads a key that a client could send. A request without tensors has no batch,
    so Triton could not answer it.

        [start]
        backend = "CreateTensor"
        shape = "3,224,224"

    Begin with an operator that reads `data`, even if it does nothing with it:

        backend = "Sequential[Identity,CreateTensor]"
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
    "TP213",
    "two tensors of one name",
    """
    A value whose size varies travels with companions: `boxes` with `boxes_count` or `boxes_shape`, and
    with `boxes_valid` if it can be absent. Another input or output has the name of such a companion, and
    clients would take it for one.

        [pipeline]
        outputs = ["boxes", "boxes_count"]

    Rename that key: `Copy[boxes_count:found]`, and answer `found`. Clients read the sizes from the
    companions anyway.
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
    "a model's batch size is fixed, and max is another",
    """
    The model was exported for one item (or a fixed number), and the node asks for batches. Ways out,
    the best first:

    * Export it again with a dynamic first axis (torch.onnx.export: `dynamic_axes={"input": {0: "N"}}`).
    * `tpgen build --dynamic-batch`: a copy of the model is rewritten, and it is proved with onnxruntime
      that a batch gives what its items give one by one.
    * Set `max` to the number that the model was exported for: smaller batches are filled up to it.
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

# --- TP8xx: lint of a repository ----------------------------------------------------------------------------

register_code(
    "TP800",
    "the repository can't be read, or holds no model",
    """
    A model repository is a directory of model directories:

        models/
          resnet50/
            config.pbtxt
            1/model.onnx

    Name `models`, not a model in it, and see that you may read it.
    """,
)

register_code(
    "TP801",
    "a directory is no model",
    """
    To the server every directory of the repository is a model, `.git`, `docs` and `__pycache__` too.
    One without a `config.pbtxt` and without a model file can't be loaded, and by default the server
    ends then.

        models/docs/notes.md         # ends the server

    Move the directory out of the repository. Single files may stay.
    """,
)

register_code(
    "TP802",
    "a link leads nowhere",
    """
    The server asks for the age of everything that lies directly in the repository and in each model's
    directory. A dangling link, or links in a circle, make it refuse the model; in the repository
    itself, all models.

        $ find -L models -maxdepth 2 -type l       # lists them

    Remove or mend the link. Deeper in a version directory such links do no harm.
    """,
)

register_code(
    "TP803",
    "a name that a Python model can't have",
    """
    The server starts the process of a Python model through a shell, with the model's path unquoted. A
    blank, a quote or one of ``; & | < > ( ) $ \\ ` `` in the name of the directory makes it wait for
    that process for ever, without a message. Characters outside ASCII fail in the usual locale of a
    container.

        models/face detector/        # use face_detector
    """,
)

register_code(
    "TP804",
    "a name that HTTP clients can't reach",
    """
    Clients escape characters such as `+`, `@` or a blank in the address of a request, and the server
    does not undo it: it knows no model `a%2Bb`, and answers 404. Over gRPC the model can be reached.

        models/yolo+nms/             # use yolo_nms

    Letters, digits, `_`, `-`, `.` and `~` are safe.
    """,
)

register_code(
    "TP805",
    "`name` is not the directory's",
    """
    The directory's name is the model's name. `name` in config.pbtxt may be left out; if it is there, it
    has to be the same.

        models/detector/config.pbtxt: name: "detect"
    """,
)

register_code(
    "TP806",
    "no version can be loaded",
    """
    A model needs a directory whose name is a number from 1, even an ensemble, which has nothing to put
    there; and `version_policy` has to admit one. By default the latest is loaded.

        version_policy { specific { versions: [2] } }      # with a directory 1 only
        version_policy { latest { } }                      # num_versions is 0 then

    Git does not keep empty directories: put a file such as `.gitkeep` into that of an ensemble.
    """,
)

register_code(
    "TP807",
    "the server misreads the name of a directory",
    """
    The server takes the number at the start of a directory's name for a version, and then looks in the
    directory of that number. `2_backup` is version 2, the latest, to it; there is no directory `2`, and
    a Python model is waited for for ever.

        models/detector/1/
        models/detector/2_backup/    # move it out, or call it backup_2

    A number beyond 64 bits ends the server.
    """,
)

register_code(
    "TP808",
    "a directory that is no version",
    """
    `01` and `v2` look like versions, and the server ignores them, with a line in its log.

        models/detector/1/
        models/detector/v2/          # never served; call it 2
    """,
)

register_code(
    "TP809",
    "a version without its model file",
    """
    Each backend looks for one file in the version directory: `model.py`, `model.onnx`, `model.plan`,
    `model.pt`, `model.xml`, or the one that `default_model_filename` names. The server waits for a
    Python model without it for ever, and refuses others.

        models/detector/2/           # empty, and the latest version: put the model there, or remove it
    """,
)

register_code(
    "TP810",
    "config.pbtxt can't be read",
    """
    The file is there, and the server can't use it: it is a directory (of which the server dies), a
    pipe, a link that leads nowhere, far too large, or the rights are missing.
    """,
)

register_code(
    "TP811",
    "config.pbtxt is not a model configuration",
    """
    The text is not what protobuf's text format wants, or names a field or value that model
    configurations don't have. The server refuses the model, and says why in its log only.

        max_batch_sise: 8                    # no such field
        input [{ data_type: fp32 }]          # TYPE_FP32
        input [{ data_type: TYPE_BYTES }]    # TYPE_STRING
        max_batch_size: "8"                  # a number has no quotes
        parameters { key: "a" value { int64_param: 1 } }      # string_value: "1"
        dynamic_batching { } sequence_batching { }            # one scheduler only
    """,
)

register_code(
    "TP812",
    "a field that the server is too old for",
    """
    The field came with a later release than the one that is checked for, which refuses the whole model.

        ensemble_scheduling { max_inflight_requests: 16 }     # 25.11

    Leave the field out, or serve with a later release.
    """,
)

register_code(
    "TP813",
    "config.pbtxt is not UTF-8",
    """
    The server reads other encodings, and then can't pass on what it read: clients that ask for the
    configuration get garbage or an error.

        $ iconv -f latin1 -t utf-8 old.pbtxt > config.pbtxt
    """,
)

register_code(
    "TP814",
    "a model without config.pbtxt",
    """
    The server guesses the backend from the file's name, and asks it for inputs and outputs. Such a
    model does not batch; a Python model has no inputs and outputs unless its code adds them; with
    `--disable-auto-complete-config` the server refuses it.

        $ curl localhost:8000/v2/models/NAME/config      # what the server made of it, to start from
    """,
)

register_code(
    "TP815",
    "a key is given twice",
    """
    In a map (`parameters`, `input_map`, `output_map` ...) the last entry of a key replaces the others,
    silently.

        parameters { key: "threads" value { string_value: "4" } }
        parameters { key: "threads" value { string_value: "8" } }      # this one counts
    """,
)

register_code(
    "TP816",
    "no backend",
    """
    The server can't tell which backend runs the model: the configuration names none, its platform is
    unknown, and no file of the first version has a known name.

        platform: "onnxruntime"              # backend: "onnxruntime", or platform: "onnxruntime_onnx"
    """,
)

register_code(
    "TP817",
    "platform and backend contradict each other",
    """
    Some backends run certain platforms only; others than theirs are refused.

        backend: "onnxruntime"
        platform: "tensorrt_plan"            # leave it out
    """,
)

register_code(
    "TP818",
    "an unknown backend",
    """
    No backend of that name comes with Triton. It may be one of your own: then it has to lie in the
    server's backend directory as `NAME/libtriton_NAME.so` or `NAME/model.py`. If the name is close to
    that of a known one, it is reported as an error.

        backend: "onnx"                      # onnxruntime
    """,
)

register_code(
    "TP819",
    "a negative batch size",
    """
    `max_batch_size` is the largest batch, 0 for a model whose tensors have no batch dimension.

        max_batch_size: -1                   # refused
    """,
)

register_code(
    "TP820",
    "an input or output is not described",
    """
    Each needs a name, a type, and dimensions; only some backends fill in what is missing from the
    model's file.

        input [{ name: "image" dims: [3,224,224] }]                            # of what type?
        output [{ name: "score" data_type: TYPE_FP32 dims: [] }]               # a scalar is dims: [1]

    `dims` leave out the batch dimension if `max_batch_size` is more than 0.
    """,
)

register_code(
    "TP821",
    "a dimension that can't be",
    """
    Dimensions are 1 or more, or -1 for one that varies.

        dims: [0, 224, 224]
        reshape { shape: [-2] }
    """,
)

register_code(
    "TP822",
    "a reshape that changes the number of elements",
    """
    `reshape` gives the model another shape than the client sends; the elements stay the same, also
    between the dimensions that vary.

        dims: [4] reshape { shape: [3] }               # 4 elements are not 3
        dims: [2,-1] reshape { shape: [-1,2] }         # nothing before the -1, then 2
        dims: [1] reshape { shape: [] }                # a scalar: only with max_batch_size above 0
    """,
)

register_code(
    "TP823",
    "an image format without an image",
    """
    `FORMAT_NHWC` and `FORMAT_NCHW` need three dims. The format changes nothing about the data: leave it
    out.

        input [{ name: "x" data_type: TYPE_FP32 format: FORMAT_NCHW dims: [1000] }]
    """,
)

register_code(
    "TP824",
    "a setting that only TensorRT has",
    """
    Shape tensors and non-linear formats are TensorRT's; the server refuses other models that set them.
    Tensors of a non-linear format have three dims.

        backend: "python"
        input [{ name: "x" data_type: TYPE_INT32 dims: [2] is_shape_tensor: true }]
    """,
)

register_code(
    "TP825",
    "batch_input or batch_output does not fit",
    """
    A batch input is made from one input of the model, as INT32 or FP32; a batch output scatters outputs
    of the model, each once, by the shape of one input.

        batch_input [{ kind: BATCH_ELEMENT_COUNT target_name: "N" data_type: TYPE_INT32 source_input: "x" }]
    """,
)

register_code(
    "TP826",
    "a file of labels is not there",
    """
    `label_filename` is a path from the model's directory (an absolute one too). The file has to exist;
    if it is a directory, the server dies. One outside of the model's directory is refused by later
    releases.

        output [{ name: "p" data_type: TYPE_FP32 dims: [1000] label_filename: "labels.txt" }]
    """,
)

register_code(
    "TP827",
    "two tensors of one name",
    """
    The server loads such a model. Of two required inputs of a name it misses one in every request,
    which fails; of two outputs it uses the first.

        input [{ name: "x" ... }, { name: "x" ... }]
    """,
)

register_code(
    "TP828",
    "no input, or no output",
    """
    A request without inputs has no batch size, so a batching model without inputs fails each of them:
    set `max_batch_size: 0`. Without outputs in the configuration nothing that `execute` returns reaches
    the client.
    """,
)

register_code(
    "TP829",
    "a Python model's file can't be imported",
    """
    The server imports the file that `default_model_filename` names as a module: it ends in `.py`, has
    no other dot, and lies in the version directory or below.

        default_model_filename: "model.v2.py"          # model_v2.py
    """,
)

register_code(
    "TP830",
    "the configuration contradicts the ONNX file",
    """
    Names, types and shapes of inputs and outputs are those of the file. With `max_batch_size` above 0
    every input and output of it begins with a batch dimension that varies, which dims leave out.

        max_batch_size: 8
        input [{ name: "data" data_type: TYPE_FP32 dims: [1,3,224,224] }]      # dims: [3,224,224]
    """,
)

register_code(
    "TP831",
    "requests of different sizes are not batched",
    """
    An input with a dimension of -1 splits batches wherever two requests differ in size: of 24 requests
    in five sizes nearly each runs alone. A Python model gets a list of requests anyhow, so it may take
    them together:

        input [{ name: "image" data_type: TYPE_UINT8 dims: [-1,-1,3] allow_ragged_batch: true }]
    """,
)

register_code(
    "TP832",
    "a model's code is not Python",
    """
    The model file has a syntax error, which the server reports when it loads the model. It is read by
    the Python that runs tpgen; the server's may know more or fewer forms.
    """,
)

register_code(
    "TP833",
    "no class TritonPythonModel",
    """
    The server makes an instance of the class of this name in the model file.

        class Model:                         # class TritonPythonModel:
            def execute(self, requests): ...
    """,
)

register_code(
    "TP834",
    "a Python model without execute",
    """
    The server calls `execute` with a list of requests. Without it, or with other arguments, the model
    loads and every request fails.

        class TritonPythonModel:
            def execute(self, requests):
                return [respond(request) for request in requests]
    """,
)

register_code(
    "TP835",
    "a method that the server can't call",
    """
    The server calls `TritonPythonModel()`, `initialize(args)` with a dictionary, and
    `auto_complete_config(auto_complete_model_config)` on the class. Other arguments need defaults.

        def initialize(self): ...            # def initialize(self, args):

        @staticmethod
        def auto_complete_config(auto_complete_model_config): ...
    """,
)

register_code(
    "TP836",
    "execute never answers",
    """
    `execute` returns a list with one response for each request, or the code sends responses through
    `request.get_response_sender()`. If it does neither, requests wait until their clients give up.

        def execute(self, requests):
            responses = [respond(request) for request in requests]
            return responses                 # this line is missing
    """,
)

register_code(
    "TP837",
    "a helper that is never imported",
    """
    The server puts a version's directory at the end of Python's path, so that a standard module, or an
    installed package, of the same name wins.

        1/model.py: import queue
        1/queue.py                           # never imported: call it frame_queue.py
    """,
)

register_code(
    "TP838",
    "the ONNX file can't be used",
    """
    The file is damaged, lacks its external data, or has inputs or outputs that are no plain tensors.
    The message says which.
    """,
)

register_code(
    "TP840",
    "a preferred batch size that can't be",
    """
    Preferred sizes are 1 to `max_batch_size`.

        max_batch_size: 8
        dynamic_batching { preferred_batch_size: [16] }

    Leave them out: batches grow to `max_batch_size` by themselves.
    """,
)

register_code(
    "TP841",
    "a priority that is no level",
    """
    `priority_levels: 3` makes the levels 1 (the highest) to 3. There has to be a default among them,
    and queue policies are for levels that exist.

        dynamic_batching { priority_levels: 3 default_priority_level: 2 }
    """,
)

register_code(
    "TP842",
    "answers can't be kept in order",
    """
    `preserve_ordering` excludes several priority levels, and queues that delay requests after a
    timeout, because those let requests overtake each other.

        dynamic_batching { preserve_ordering: true priority_levels: 2 default_priority_level: 1 }
    """,
)

register_code(
    "TP843",
    "a share of slots that can't be",
    """
    `minimum_slot_utilization` of the direct strategy is a share of the slots, from 0 to 1, such as 0.5.
    """,
)

register_code(
    "TP844",
    "answers that can't be cached",
    """
    The response cache keeps one answer for one request: it excludes sequence batching, and decoupled
    models.

        response_cache { enable: true }
        model_transaction_policy { decoupled: true }
    """,
)

register_code(
    "TP845",
    "control tensors of a sequence are mixed up",
    """
    Each control of `sequence_batching` has a tensor with a name of its own, and each kind of control is
    there once.

        control_input [
          { name: "START" control [{ kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }] },
          { name: "END" control [{ kind: CONTROL_SEQUENCE_END int32_false_true: [0, 1] }] }
        ]
    """,
)

register_code(
    "TP846",
    "a control of a sequence without its values",
    """
    Start, ready and end are given as one pair of values, for false and true: `int32_false_true`,
    `fp32_false_true` or `bool_false_true`. The correlation id has a `data_type` (an integer of 32 or 64
    bits, or TYPE_STRING) and no values.

        { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] }
        { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 }
    """,
)

register_code(
    "TP847",
    "a state of a sequence without its data",
    """
    An initial state is `zero_data: true`, or a file in the directory `initial_state` of the model.

        initial_state { name: "zeros" data_type: TYPE_FP32 dims: [8] zero_data: true }
    """,
)

register_code(
    "TP848",
    "dynamic batching without batches",
    """
    A model with `max_batch_size: 0` never batches, so `dynamic_batching` changes nothing but the queue.

        max_batch_size: 0
        dynamic_batching { }                 # set max_batch_size, and take the batch dimension out of dims
    """,
)

register_code(
    "TP849",
    "batches that are never formed",
    """
    `max_batch_size` only says what the model can take. Without `dynamic_batching` (or sequence
    batching) every request runs alone.

        max_batch_size: 32
        dynamic_batching { }                 # add this
    """,
)

register_code(
    "TP850",
    "a preferred batch size that caps batches",
    """
    The batcher sends a batch off as soon as it has a preferred size, although more requests wait: with
    `preferred_batch_size: [4]` a queue of 32 becomes eight batches.

    Leave it out, unless a TensorRT engine has profiles for just these sizes.
    """,
)

register_code(
    "TP851",
    "a timeout that can't be overridden",
    """
    A request may shorten the default timeout of its queue; without one its own timeout is ignored.

        default_queue_policy { allow_timeout_override: true default_timeout_microseconds: 5000000 }
    """,
)

register_code(
    "TP852",
    "priorities without levels",
    """
    `default_priority_level` and `priority_queue_policy` have no effect as long as `priority_levels` is
    0.
    """,
)

register_code(
    "TP855",
    "GPUs for a group without",
    """
    Instances of the kind KIND_CPU run on the CPU, those of KIND_MODEL where the model decides. The
    server refuses `gpus` with either.

        instance_group [{ kind: KIND_CPU gpus: [0] }]
    """,
)

register_code(
    "TP856",
    "an optimization profile that can't be",
    """
    `profile` lists profiles of a TensorRT engine by index, as strings. Other backends are refused.

        instance_group [{ kind: KIND_GPU profile: ["0", "1"] }]
    """,
)

register_code(
    "TP857",
    "no instance takes requests",
    """
    A passive instance is loaded and never called. If all are, the first request ends the server.

        instance_group [{ kind: KIND_CPU passive: true }]      # add a group that is not
    """,
)

register_code(
    "TP858",
    "a count below 1",
    """
    The server takes a count of 0 or less for the default, 1.

        instance_group [{ kind: KIND_CPU count: 0 }]           # one instance runs
    """,
)

register_code(
    "TP859",
    "a resource both global and local",
    """
    A resource of the rate limiter is counted for each device, or once for the server. A server that
    runs with `--rate-limit=execution_count` refuses a name that is used for both; others ignore it.

        resources [{ name: "R1" count: 1 }, { name: "R1" global: true count: 2 }]
    """,
)

register_code(
    "TP861",
    "a warm-up that is skipped",
    """
    A sample without `batch_size` has the batch 0, and the server skips it silently.

        model_warmup [{ name: "first" batch_size: 1 ... }]
    """,
)

register_code(
    "TP862",
    "a warm-up larger than a batch",
    """
    The batch of a sample is at most `max_batch_size`, and 1 if the model does not batch. Of a larger
    one the server refuses the model, and at times it dies.

        max_batch_size: 8
        model_warmup [{ name: "all" batch_size: 16 ... }]
    """,
)

register_code(
    "TP863",
    "a warm-up without an input",
    """
    A sample is a request: it holds all inputs that are not optional.

        model_warmup [{ name: "first" batch_size: 1
                        inputs { key: "x" value { data_type: TYPE_FP32 dims: [4] zero_data: true } } }]
    """,
)

register_code(
    "TP864",
    "a warm-up input that does not fit",
    """
    The input of a sample has the model's type, sizes for all dimensions (no -1) without the batch
    dimension, and data: `zero_data`, `random_data` or `input_data_file`.

        input [{ name: "x" data_type: TYPE_FP32 dims: [-1] }]
        inputs { key: "x" value { data_type: TYPE_FP32 dims: [640] random_data: true } }
    """,
)

register_code(
    "TP865",
    "a warm-up file is not there",
    """
    `input_data_file` is a path in the model's directory `warmup`. The file holds the bytes of one item.

        models/detector/warmup/image.bin
    """,
)

register_code(
    "TP867",
    "FORCE_CPU_ONLY_INPUT_TENSORS is neither yes nor no",
    """
    The Python backend takes just these two words.

        parameters { key: "FORCE_CPU_ONLY_INPUT_TENSORS" value { string_value: "no" } }
    """,
)

register_code(
    "TP868",
    "an execution environment is not there",
    """
    `EXECUTION_ENV_PATH` names an archive made by conda-pack, or a directory with such an environment,
    which has `bin/activate` in it. A relative path is one from where the server was started; one in the
    model's directory begins with `$$TRITON_MODEL_DIRECTORY`.

        parameters { key: "EXECUTION_ENV_PATH" value { string_value: "$$TRITON_MODEL_DIRECTORY/env.tar.gz" } }
    """,
)

register_code(
    "TP869",
    "an unknown allocation strategy",
    """
    `execution_context_allocation_strategy` of a TensorRT model is STATIC, or ON_PROFILE_CHANGE, which
    takes less memory where an engine has several profiles.
    """,
)

register_code(
    "TP870",
    "a metric tag that ends the server",
    """
    A tag becomes a label of Prometheus: letters, digits and `_`, no digit first, not beginning with
    `__`. The server dies of any other when it loads the model.

        metric_tags { key: "data-center" value: "eu1" }        # data_center
    """,
)

register_code(
    "TP871",
    "an optimization without effect",
    """
    Execution accelerators, graph levels and CUDA settings are for backends that run a graph. A Python
    model ignores them.
    """,
)

register_code(
    "TP872",
    "a metric that is not described",
    """
    `model_metrics` chooses the buckets of histograms: each `metric_control` names the family of
    metrics, and the buckets.

        model_metrics {
          metric_control [{ metric_identifier { family: "nv_inference_first_response_histogram_ms" }
                            histogram_options { buckets: [ 10, 100, 1000 ] } }]
        }
    """,
)

register_code(
    "TP880",
    "half an ensemble",
    """
    An ensemble has `platform: "ensemble"`, and `ensemble_scheduling` with at least one step; neither
    goes without the other.
    """,
)

register_code(
    "TP881",
    "an ensemble with instances",
    """
    An ensemble only leads tensors from model to model. `backend`, `instance_group`, `optimization` and
    `model_warmup` belong to those models, and the server refuses them here.
    """,
)

register_code(
    "TP882",
    "an incomplete step",
    """
    A step names its model, and maps at least one input and one output.

        step [{ model_name: "resize" model_version: -1
                input_map { key: "image" value: "data" }
                output_map { key: "resized" value: "small" } }]
    """,
)

register_code(
    "TP883",
    "a step's model is not there",
    """
    The models that an ensemble runs lie in the same repository (or in another one of the same server,
    which this check can't see).

        step [{ model_name: "resnet5O" ... }]
    """,
)

register_code(
    "TP884",
    "a step's version is not loaded",
    """
    `model_version: -1` is the latest version. One that is left out is 0, which hardly any model has.

        step [{ model_name: "resize" input_map { ... } ... }]          # model_version: -1 is missing
    """,
)

register_code(
    "TP885",
    "a step's model has no such tensor",
    """
    In `input_map` and `output_map` the key is an input or output of the step's model, the value is a
    tensor of the ensemble. They are easily swapped.

        input_map { key: "INPUT_OF_THE_MODEL" value: "tensor_of_the_ensemble" }
    """,
)

register_code(
    "TP886",
    "a step lacks an input",
    """
    Every input of a step's model that is not optional needs an entry in `input_map`.
    """,
)

register_code(
    "TP887",
    "a tensor that nothing reads",
    """
    An input of the ensemble that no step reads, and an output that is mapped to a tensor which no step
    reads and which is no output, are refused. Outputs of a step need not be mapped.
    """,
)

register_code(
    "TP888",
    "a tensor that nothing writes",
    """
    What a step reads is an input of the ensemble or was mapped from an output of another step, and no
    step waits, in the end, for itself. Swapped keys and values in a map are the usual reason.
    """,
)

register_code(
    "TP889",
    "a tensor that is written twice",
    """
    One tensor of an ensemble has one writer. There are no branches in an ensemble: what depends on the
    data belongs into a Python model that calls others.
    """,
)

register_code(
    "TP890",
    "a step writes the ensemble's input",
    """
    The server accepts an `output_map` onto an input of the ensemble. The first request then runs in a
    circle, for ever, and takes a processor with it.

        input [{ name: "image" ... }]
        step [{ ... output_map { key: "resized" value: "image" } }]    # use another name
    """,
)

register_code(
    "TP891",
    "types do not meet",
    """
    The models that a tensor of an ensemble joins, and the ensemble's own input or output, have one
    `data_type`.
    """,
)

register_code(
    "TP892",
    "shapes do not meet",
    """
    The models that a tensor of an ensemble joins have the same dims; -1 goes with any size, which is
    then checked in each request. Where one of them batches and the other does not, the full shapes are
    compared: `dims: [4]` with a batch goes with `dims: [-1,4]` without.
    """,
)

register_code(
    "TP893",
    "an ensemble's batch is too large for a step",
    """
    `max_batch_size` of an ensemble is at most that of each of its steps, save those that do not batch.
    """,
)

register_code(
    "TP894",
    "a step that takes single items only",
    """
    A model with `max_batch_size: 0` gets the whole batch of the ensemble as one tensor. If its dims do
    not begin with -1, the ensemble loads, and every request of more than one item fails.

        max_batch_size: 0
        input [{ name: "x" data_type: TYPE_FP32 dims: [-1,4] }]        # takes any batch
    """,
)

register_code(
    "TP895",
    "an ensemble runs itself",
    """
    An ensemble may run other ensembles, as long as none of them leads back to it. Break the circle.
    """,
)

register_code(
    "TP896",
    "answers that do not match",
    """
    A decoupled model gives any number of answers to a request. A step can't join one of its outputs
    with a tensor that does not come from the same answers, and an ensemble can't answer with both.
    """,
)

register_code(
    "TP897",
    "an optional input that is not",
    """
    An ensemble passes on what the client sent. If it leaves out an optional input that a step's model
    requires, the request fails.
    """,
)

register_code(
    "TP898",
    "some outputs can't be asked for alone",
    """
    A request may ask for some outputs; the server then leaves out the steps that they do not need. If
    one of the inputs is not needed either, it wrongly leaves out the first step of the list as well,
    and the request fails with "unexpected deadlock".

    Ask for all outputs, or order the steps so that the first is one which such a request does not need;
    the order has no other meaning.
    """,
)

register_code(
    "TP899",
    "an output of DALI is not used",
    """
    The DALI backend fails every request that does not ask for all outputs of its pipeline, and an
    ensemble asks for those that it maps.
    """,
)

# --- TP9xx: notes about decisions -------------------------------------------------------------------------

register_code(
    "TP901",
    "built for the CPU because no target was given",
    """
    The pipeline has TensorRT nodes, and neither the command line nor the TOML says what it is built for. It
    is built for the CPU, where ONNX Runtime runs the models. To say that this is meant:

        [pipeline]
        target = "cpu"
    """,
)
