"""FROZEN BASELINE: reads pages of digits; each digit is a call of the classifier. See ../../../README.md."""

import asyncio

import cv2
import numpy as np
import triton_python_backend_utils as pb_utils

import boxes


class TritonPythonModel:
    def initialize(self, args):
        cv2.setNumThreads(1)  # there is a process per core already

    async def execute(self, requests):
        return await asyncio.gather(*[self._respond(request) for request in requests])

    async def _respond(self, request):
        encoded = pb_utils.get_input_tensor_by_name(request, "image").as_numpy().reshape(-1)
        try:
            texts = await asyncio.gather(*[self._read(jpeg) for jpeg in encoded])
        except ValueError as problem:
            invalid = pb_utils.TritonError(str(problem), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=invalid)
        except pb_utils.TritonModelException as problem:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(problem)))
        text = np.array([[text] for text in texts], np.object_)
        return pb_utils.InferenceResponse([pb_utils.Tensor("text", text)])

    async def _read(self, encoded):
        page = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        if page is None:
            raise ValueError("not a decodable image")
        found = boxes.find(page)
        digits = await asyncio.gather(*[self._classify(page, box) for box in found])
        return boxes.join(digits, found)

    async def _classify(self, page, box):
        planes = np.empty((1, 3, 32, 32), np.float32)
        boxes.prepare(page, box, planes[0])
        call = pb_utils.InferenceRequest(
            model_name="classify",
            requested_output_names=["logits"],
            inputs=[pb_utils.Tensor("planes", planes)],
        )
        response = await call.async_exec()
        if response.has_error():
            raise pb_utils.TritonModelException(response.error().message())
        logits = pb_utils.get_output_tensor_by_name(response, "logits").as_numpy()
        return int(logits[0].argmax())
