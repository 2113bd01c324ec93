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

    A table or key may be given once only, and nesting ends at 16 levels.
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
