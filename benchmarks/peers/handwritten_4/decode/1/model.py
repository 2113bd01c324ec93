"""FROZEN BASELINE: decodes JPEGs. See ../../README.md for the advice that it follows."""

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        cv2.setNumThreads(1)  # there is a process per core already

    def execute(self, requests):
        return [self._respond(request) for request in requests]

    def _respond(self, request):
        encoded = pb_utils.get_input_tensor_by_name(request, "image").as_numpy().reshape(-1)
        images = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in encoded]
        if any(image is None for image in images):
            problem = pb_utils.TritonError("not a decodable image", pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=problem)
        pixels = images[0][np.newaxis] if len(images) == 1 else np.stack(images)
        return pb_utils.InferenceResponse([pb_utils.Tensor("pixels", pixels)])
