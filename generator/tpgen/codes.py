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
