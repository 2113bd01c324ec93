"""Templates to text. They hold layout only; what they show is decided before."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import Any

from ..diagnostics import InternalError
from ..resources import templates_dir
from .names import literal


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_dir()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["literal"] = literal
    environment.filters["quoted"] = partial(json.dumps, ensure_ascii=False)  # as YAML has it, too
    return environment


def render_text(template: str, **values: Any) -> str:
    """The text of a template."""
    text: str = _environment().get_template(template).render(**values)
    return text


def render_python(template: str, **values: Any) -> str:
    """The text of a template that makes Python code.

    Raises:
        InternalError: the code does not compile.
    """
    text = render_text(template, **values)
    try:
        compile(text, template, "exec", dont_inherit=True)  # twice as fast as making a syntax tree of it
    except SyntaxError as problem:
        raise InternalError(f"{template} made code that does not compile: {problem}\n{text}") from problem
    return text
