"""`tpgen encrypt`: a model file that is decrypted in memory only, and the keys for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import json_option

if TYPE_CHECKING:
    from .report import Report

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("encrypt")
@click.argument("model", type=_FILE, required=False)
@click.option("-o", "--output", type=_NEW_FILE, help="The file to write; by default MODEL.encrypted.")
@click.option("--key", type=_FILE, help="The file with the key; by default that of the environment.")
@click.option(
    "--new-key",
    type=_NEW_FILE,
    metavar="FILE",
    help="Write a new key there, which only you can read; a file is never replaced.",
)
@json_option
@click.pass_obj
def command(
    report: Report, model: Path | None, output: Path | None, key: Path | None, new_key: Path | None
) -> None:
    """Encrypt a model file with AES-256-GCM, or write a key for that.

    A TOML names the encrypted file as its model. Building, running and serving take the key from
    TPGEN_MODEL_KEY_FILE (a file) or TPGEN_MODEL_KEY (its text).
    """
    if new_key is None and model is None:
        raise click.UsageError("name a model, or write a key with --new-key FILE")
    if new_key is not None and key is not None:
        raise click.UsageError("--key names a key that is there, --new-key writes one: give one of them")
    if output is not None and model is None:
        raise click.UsageError("--output is for an encrypted model, and no model is named")
    from ..driver.encrypting import encrypt_model, write_key

    if new_key is not None:
        write_key(new_key)
        report.put(key=str(new_key))
        report.say(f"wrote a key: {new_key}; whoever has it can read the models, and nobody without")
    if model is not None:
        target = output or model.with_name(f"{model.name}.encrypted")
        size = encrypt_model(model, target, key or new_key)
        report.put(file=str(target), bytes=size)
        report.say(f'wrote {target}; in the TOML: model = "{target.name}"')
