"""Python models in the place of those that run on Triton's own backends, which the server of the wheel lacks.

A stand-in has the same configuration but for the backend, and runs the same ONNX file with ONNX Runtime, so
what calls the model sees no difference.
"""

from __future__ import annotations

from pathlib import Path

from tpgen.emit.config_pbtxt import messages, parse, render

NATIVE = ("onnxruntime", "tensorrt")

MODEL = '''
"""Stands in for a model on another backend: runs the ONNX file beside it."""

import json
import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        config = json.loads(args["model_config"])
        self.inputs = {tensor["name"]: tensor for tensor in config["input"]}
        self.outputs = {tensor["name"]: tensor for tensor in config["output"]}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        try:
            given = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            feed = {n: a[:, 0] if "reshape" in self.inputs[n] else a for n, a in given.items()}
            names = request.requested_output_names()
            found = dict(zip(names, self.session.run(names, feed)))
        except Exception as problem:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(problem)))
        shaped = {n: a[:, np.newaxis] if "reshape" in self.outputs[n] else a for n, a in found.items()}
        return pb_utils.InferenceResponse(
            output_tensors=[pb_utils.Tensor(n, np.ascontiguousarray(a)) for n, a in shaped.items()]
        )

    def finalize(self):
        pass
'''


def stand_in(repository: Path) -> list[str]:
    """Change a built repository in place; returns the names of the models that were replaced."""
    replaced = []
    for file in sorted(repository.glob("*/config.pbtxt")):
        config = parse(file.read_text())
        if config.backend not in NATIVE:
            continue
        config.backend = "python"
        config.ClearField("parameters")
        config.ClearField("default_model_filename")
        for group in config.instance_group:
            group.kind = messages().ModelInstanceGroup.KIND_CPU
            group.ClearField("profile")
        for tensor in config.input:  # as for all Python models: requests of different shapes go together
            tensor.allow_ragged_batch = -1 in tensor.dims
        file.write_text(render(config))
        (file.parent / "1" / "model.py").write_text(MODEL)
        (file.parent / "1" / "engine.json").unlink(missing_ok=True)
        replaced.append(config.name)
    return replaced
