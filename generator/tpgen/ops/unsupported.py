"""Operators of the dialect that are not compiled, each with the reason and the way out."""

from __future__ import annotations

from collections.abc import Mapping

_CONTROL_FLOW = "it comes with control flow, which this version does not compile yet"
_LLM = "it belongs to a language model's decoding loop, which Triton's vLLM and TensorRT-LLM backends serve"
_ENGINE = "write TensorrtTensor: it builds, loads and runs the engine in one"
_COMPOSITION = "it wires TorchPipe's own executor together; Triton schedules here: write the operators alone"
_ITEM = "an item is one row of Triton's batch here: leave it out"
_LOGGING = "it sets up TorchPipe's log; the server writes the log here: leave it out"
_PROCESS = "Triton runs each instance in a process of its own: write the operator in its brackets alone"

_ENCODING = (
    "images leave as arrays; to answer JPEG bytes write Python[module:name] with cv2.imencode and"
    ' outputs={"result": Tensor("bytes", [])}'
)
_YOLO = 'write Sequential[YoloDecode,NMS] behind the model, with format = "yolox" or the like'

_REASONS: Mapping[str, tuple[str, ...]] = {
    _CONTROL_FLOW: (
        "JumpV0",
        "CompareLongKey",
        "Condition",
        "CopySplit",
        "Loop",
        "Random",
    ),
    _LLM: (
        "AppendIndexSelectTensor",
        "AppendPositionIDsTensor",
        "AppendRotaryEmbeddingTensor",
        "AppendTensor",
        "CatTensor",
        "ContinuousBatching",
        "EmbedTokensTensor",
        "FIAppendTensor",
        "KVCache",
        "KVCacheTensor",
        "KVCacheV2",
        "MergePromptTensor",
        "MultiModalEmbedsTensor",
        "TensorPage",
    ),
    _ENGINE: ("LoadTensorrtEngine", "ModelLoadder", "Onnx2Tensorrt", "TensorrtInferTensor"),
    _COMPOSITION: (
        "Aspect",
        "AsyncQueue",
        "BackgroundThread",
        "Benchmark",
        "CatSplit",
        "InstanceDispatcher",
        "Instances",
        "InstancesRegister",
        "IoC",
        "List",
        "LogTime",
        "Node",
        "Profile",
        "Proxy",
        "ProxyFromParam",
        "Queue",
        "Reflect",
        "Register",
        "Send",
        "Send2Queue",
        "Source",
        "ThreadPoolExecutor",
        "ThrowIfNoResult",
        "TimeStamp",
        "With",
    ),
    _ITEM: ("CalTorchBatchSize", "LastBatchTensor", "SetTensorRequestSize", "SetTorchRequestSize"),
    _LOGGING: ("FileLogger", "Logger", "SpdLogger"),
    _PROCESS: ("SubProcess",),
    _ENCODING: ("EncodeMat", "EncodeTensor"),
    _YOLO: ("BatchingPostProcYolox", "BatchingPostProcYolox_45_30", "PostProcYolox", "PostProcYoloxV8"),
}

_LOOP = 'it runs a whole pipeline in rounds: write entrypoint = "Restart[DagDispatcher]" above the first node'

_SINGLE: Mapping[str, str] = {
    **dict.fromkeys(("EventLoop", "Restart", "Ring"), _LOOP),
    "EmbeddingTensor": "write IndexSelectTensor, which picks rows of a weight file in the same way",
    "FixTensor": "leave it out: a model casts its input, and Mat2Tensor in front moves the channels",
    "LoadTensors": "write one LoadTensor per tensor and keep each with Result2Key",
    "OpenvinoMat": "convert the model to ONNX and write TensorrtTensor, or Onnx, with Mat2Tensor in front",
    "PermuteTensor": "TorchPipe has no such operator; Mat2Tensor and Tensor2Mat move the channels",
    "PyIdentity": "write Identity, or Python[module:name] for code of your own",
    "PyTensor": "write Python[module:name], with your function in a module beside the TOML",
    "ReadFile": "send the bytes as the pipeline's input",
    "RecPost": "write CTCGreedyDecode behind the model",
    "Remote": "call the other server from a function of your own: Python[module:name]",
    "SoftmaxTensor": "TorchPipe has no such operator; write Softmax",
}

UNSUPPORTED: Mapping[str, str] = {
    **{name: why for why, names in _REASONS.items() for name in names},
    **_SINGLE,
}
