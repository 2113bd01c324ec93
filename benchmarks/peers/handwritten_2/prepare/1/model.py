"""FROZEN BASELINE: decodes, resizes, brings to RGB, normalises and lays out JPEGs. See ../../README.md."""

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils

MEAN = np.array([123.675, 116.28, 103.53], np.float32).reshape(3, 1, 1)
SCALE = 1 / np.array([58.395, 57.12, 57.375], np.float32).reshape(3, 1, 1)


class TritonPythonModel:
    def initialize(self, args):
        cv2.setNumThreads(1)  # there is a process per core already

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        encoded = pb_utils.get_input_tensor_by_name(request, "image").as_numpy().reshape(-1)
        planes = np.empty((len(encoded), 3, 224, 224), np.float32)
        for jpeg, out in zip(encoded, planes):
            image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            if image is None:
                problem = pb_utils.TritonError("not a decodable image", pb_utils.TritonError.INVALID_ARG)
                return pb_utils.InferenceResponse(error=problem)
            small = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
            out[:] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
            out -= MEAN
            out *= SCALE
        return pb_utils.InferenceResponse([pb_utils.Tensor("planes", planes)])
