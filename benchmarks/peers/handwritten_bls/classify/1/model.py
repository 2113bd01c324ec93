"""FROZEN BASELINE: runs the network, the requests of a dynamic batch in one call. See ../../README.md."""

import os

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # there is a process per core already
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def execute(self, requests):
        arrays = [pb_utils.get_input_tensor_by_name(request, "planes").as_numpy() for request in requests]
        batch = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        logits = self._session.run(None, {self._input: batch})[0]
        ends = np.cumsum([len(array) for array in arrays])
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("logits", part)])
            for part in np.split(logits, ends[:-1])
        ]
