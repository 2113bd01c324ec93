"""FROZEN BASELINE: resizes images, brings them to RGB and into planes. See ../../README.md."""

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        cv2.setNumThreads(1)  # there is a process per core already

    def execute(self, requests):
        responses = []
        for request in requests:
            pixels = pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy()
            planes = np.empty((len(pixels), 3, 224, 224), np.uint8)
            for image, out in zip(pixels, planes):
                small = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
                out[:] = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("planes", planes)]))
        return responses
