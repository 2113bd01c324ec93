"""Samples that a stage runs after it has loaded, before its first request.

They lie in ``warmup/`` beside the stage: ``samples.json``, in ModelConfig's form, and the data of the inputs.
Triton's own warm-up is for models whose requests cannot fail: the server dies of an item that a Python stage
answers with an error (24.10). Here what fails is a warning, and the stage serves all the same.
"""

import json
import os

import numpy as np
import triton_python_backend_utils as pb_utils

from . import callers
from .stage import Item
from .triton import PythonModel
from .wire import ABSENT

_FOLDER = "warmup"


class WarmModel(PythonModel):
    """A model whose stage has samples."""

    def _warm_up(self, directory):
        folder = os.path.join(directory, _FOLDER)
        try:
            with open(os.path.join(folder, "samples.json"), encoding="utf-8") as file:
                samples = json.load(file)
            for sample in samples:
                _Run(self._stage, sample["name"]).run(_tensors(sample, folder))
        except BaseException as problem:  # noqa: BLE001  (user code exits, too; a warm-up is never worth a server)
            _warn(self._stage, "the sample", f"{type(problem).__name__}: {problem}")
        finally:
            callers.end()


class _Run:
    """The run of one sample: owner of its items, as a request's reply is."""

    has_left = False

    def __init__(self, stage, name):
        self._stage = stage
        self._name = name
        self._done = []
        self._is_told = False

    @property
    def caller(self):
        return self

    def leaves(self):
        return False

    def run(self, tensors):
        """Take the items through the stage and encode their answers."""
        columns = [(port.key, port.decode(tensors)) for port in self._stage.inputs if port.key in tensors]
        size = len(columns[0][1]) if columns else 1
        rows = ({key: values[row] for key, values in columns} for row in range(size))
        items = [
            Item({key: value for key, value in row.items() if value is not ABSENT}, self, index)
            for index, row in enumerate(rows)
        ]
        callers.begin([self])
        self._stage.process(items)
        if len(self._done) == size and not self._is_told:
            for port in self._stage.outputs:
                self._stage.encode(port, [item.get(port.key, ABSENT) for item in self._done])

    def finished(self, item):
        """An item is done: with what its request would have got."""
        self._done.append(item)
        if item.reason and "result" not in item:
            self._tell(item.reason)

    def failed(self, item, message):
        """An operator broke on an item."""
        self._tell(f"{message}{message.trace}")

    def _tell(self, reason):
        if not self._is_told:  # the items of a sample are all the same
            self._is_told = True
            _warn(self._stage, self._name, reason)


def _warn(stage, what, reason):
    pb_utils.Logger.log_warn(f"stage {stage.pipeline}: warm-up with {what} failed: {reason}")


def _tensors(sample, folder):
    """The inputs of a request of as many equal items as the sample says."""
    tensors = {}
    for name, given in sample["inputs"].items():
        with open(os.path.join(folder, given["input_data_file"]), "rb") as file:
            data = file.read()
        dtype = pb_utils.triton_string_to_numpy(given["data_type"])
        flat = _texts(data) if dtype == np.object_ else np.frombuffer(data, dtype)
        tensors[name] = np.repeat(flat.reshape(1, *given["dims"]), sample["batch_size"], axis=0)
    return tensors


def _texts(data):
    """Texts, each with its length in front."""
    found, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        found.append(data[at + 4 : end])
        at = end
    texts = np.empty(len(found), dtype=np.object_)
    texts[:] = found
    return texts
