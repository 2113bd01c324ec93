"""How large a model's values get on samples: half precision ends at 65504."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .session import open_session, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

Sample = Mapping[str, "NDArray[np.generic]"]


def largest_values(model: ModelProto, values: Iterable[str], samples: Iterable[Sample]) -> dict[str, float]:
    """The largest finite magnitude of each named float value over all samples (inputs by name, batched).

    Raises:
        ModelError: onnxruntime refuses the model.
        RunFailed: a sample does not fit.
    """
    import numpy as np
    from onnx import TensorProto, helper

    copy = type(model)()
    copy.CopyFrom(model)
    given = {output.name for output in copy.graph.output}
    inputs = {value.name for value in copy.graph.input}
    asked = [name for name in values if name not in inputs]
    copy.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in asked if name not in given
    )
    session = open_session(copy.SerializeToString(), optimize=False)
    found: dict[str, float] = {}
    for sample in samples:
        # Asked for nothing, onnxruntime would compute all outputs.
        answers = dict(zip(asked, run(session, asked, sample), strict=True)) if asked else {}
        for name, value in {**answers, **sample}.items():
            array = np.asarray(value)
            if array.dtype.kind == "f" and array.size:
                finite = np.abs(array[np.isfinite(array)])
                found[name] = max(found.get(name, 0.0), float(finite.max(initial=0.0)))
    return found
