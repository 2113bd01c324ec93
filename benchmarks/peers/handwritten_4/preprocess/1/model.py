"""FROZEN BASELINE: resizes, brings to RGB, normalises and lays out images. See ../../README.md."""

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils

MEAN = np.array([123.675, 116.28, 103.53], np.float32).reshape(3, 1, 1)
SCALE = 1 / np.array([58.395, 57.12, 57.375], np.float32).reshape(3, 1, 1)


class TritonPythonModel:
    def initialize(self, args):
        cv2.setNumThreads(1)  # there is a process per core already

    def execute(self, requests):
        responses = []
        for request in requests:
            pixels = pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy()
            planes = np.empty((len(pixels), 3, 224, 224), np.float32)
            for image, out in zip(pixels, planes):
                self._prepare(image, out)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("planes", planes)]))
        return responses

    def _prepare(self, image, out):
        small = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
        out[:] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
        out -= MEAN
        out *= SCALE
