"""Post-processing: types, refusals, and the edges that random inputs seldom meet."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import tpgen.ops  # noqa: F401 - fills the registry
from compare import Call
from tpgen.ir.op import REGISTRY, InferError
from tpgen.types import Array, Bytes, Color, DType, Layout, ListOf, Symbol, Text, Type
from tpgen_runtime import boxes, postprocess, text
from tpgen_runtime.errors import ItemError

C, N = Symbol("C"), Symbol("N")
MATRIX = Array(DType.FLOAT64, (2, 3))


def floats(*shape: int | Symbol, dtype: DType = DType.FLOAT32) -> Array:
    return Array(dtype, shape)


def infer(name: str, types: dict[str, Type], **attributes: object) -> dict[str, Type]:
    op = REGISTRY[name](**attributes)
    assert set(op.inputs()) <= set(types)
    written = dict(op.infer(Call(types)))
    assert tuple(written) == op.outputs()
    return written


def test_types_of_scores() -> None:
    assert infer("Softmax", {"data": floats(C, 3)}, axis=0) == {"result": floats(C, 3)}
    assert infer("ArgMax", {"data": floats(2, C, 3)}, axis=-2) == {"result": Array(DType.INT64, (2, 3))}
    assert infer("ArgMaxTensor", {"data": floats(1000)}) == {"result": Array(DType.INT64, ())}
    index, score = Array(DType.INT64, ()), floats()
    found = infer("SoftmaxArgMaxTensor", {"data": floats(1000)})
    assert found == {"result": index, "score": score, "class": index}
    assert infer("Threshold", {"data": floats(1, 8, 8)}) == {"result": Array(DType.BOOL, (1, 8, 8))}
    assert infer("SoftmaxMax", {"data": floats(C)}) == {"result": floats(2)}


def test_types_of_top_k() -> None:
    found = infer("TopK", {"data": floats(1000)}, k=3, labels="names.txt")
    assert found == {"result": Array(DType.INT64, (3,)), "scores": floats(3), "labels": ListOf(Text())}
    varying = infer("TopK", {"data": floats(C)}, k=3)["result"]
    assert isinstance(varying, Array)
    assert isinstance(varying.shape[0], Symbol), "there may be fewer classes than k"


def test_boxes_scores_and_classes_share_their_count() -> None:
    for name, types, attributes in (
        ("YoloDecode", {"data": floats(84, 8400)}, {"form": "yolov8", "inverse_trans": ""}),
        ("NMS", {"data": floats(N, 4), "scores": floats(N), "classes": Array(DType.INT32, (N,))}, {}),
        ("DBPostProcess", {"data": floats(1, N, N)}, {"inverse_trans": ""}),
    ):
        found = infer(name, types, **attributes)
        counts = {type_.shape[0] for type_ in found.values() if isinstance(type_, Array)}
        assert len(counts) == 1, name
        assert isinstance(counts.pop(), Symbol), name


def test_matrix_is_read_if_it_exists() -> None:
    for name, attributes in (("YoloDecode", {"form": "yolov5"}), ("DBPostProcess", {})):
        op = REGISTRY[name](**attributes)
        assert op.inputs() == ("data", "inverse_trans")
        assert op.bind({"data"}, is_root=False).inputs() == ("data",)  # type: ignore[attr-defined]
        assert op.bind({"inverse_trans"}, is_root=False).inputs() == ("data", "inverse_trans")  # type: ignore[attr-defined]
        named = REGISTRY[name](**attributes, inverse_trans="letterbox")
        assert named.bind({"data"}, is_root=False).inputs() == ("data", "letterbox")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "types", "attributes", "code", "part"),
    [
        ("Softmax", {"data": floats(4)}, {"axis": 1}, "TP304", "axis 1 does not exist"),
        ("ArgMax", {"data": floats()}, {}, "TP304", "axis -1 does not exist"),
        ("ArgMaxTensor", {"data": floats()}, {}, "TP304", "a scalar"),
        ("Softmax", {"data": Bytes()}, {}, "TP301", "'data' is bytes"),
        ("TopK", {"data": floats(4)}, {"k": 5}, "TP304", "k is 5, but there are 4 classes"),
        ("TopK", {"data": floats(1, 4)}, {}, "TP304", "rank 1 is needed"),
        ("NMS", {"data": floats(N, 5), "scores": floats(N)}, {"classes": ""}, "TP304", "columns must be 4"),
        ("NMS", {"data": floats(7, 4), "scores": floats(8)}, {"classes": ""}, "TP304", "length must be 7"),
        (
            "NMS",
            {"data": floats(N, 4, dtype=DType.INT32), "scores": floats(N)},
            {"classes": ""},
            "TP305",
            "float32",
        ),
        ("YoloDecode", {"data": floats(84, 8400)}, {"form": "yolov5"}, "TP304", "yolov5 is [N,5+C]"),
        ("YoloDecode", {"data": floats(8400, 84)}, {"form": "yolov8"}, "TP304", "yolov8 is [4+C,N]"),
        ("YoloDecode", {"data": floats(N, 5)}, {"form": "yolov5"}, "TP304", "yolov5 is [N,5+C]"),
        (
            "YoloDecode",
            {"data": floats(3549, 85)},
            {"form": "yolox"},
            "TP304",
            "640x640 with strides 8, 16, 32 gives 8400",
        ),
        ("DBPostProcess", {"data": floats(2, N, N)}, {}, "TP304", "first dimension must be 1"),
        ("CTCGreedyDecode", {"data": floats(40, 10)}, {"labels": "c", "blank": 10}, "TP304", "blank is 10"),
    ],
)
def test_types_that_do_not_fit(
    name: str, types: dict[str, Type], attributes: dict[str, object], code: str, part: str
) -> None:
    if name in ("YoloDecode", "DBPostProcess"):
        attributes = {**attributes, "inverse_trans": ""}
    with pytest.raises(InferError) as caught:
        infer(name, types, **attributes)
    assert caught.value.code == code
    assert part in caught.value.message


def test_a_wrong_matrix_or_source_is_refused() -> None:
    with pytest.raises(InferError, match="rows must be 2"):
        infer("YoloDecode", {"data": floats(N, 85), "inverse_trans": floats(3, 3)}, form="yolov5")
    chw = Array(DType.UINT8, (3, N, N), Layout.CHW, Color.BGR)
    with pytest.raises(InferError) as caught:
        infer("DBPostProcess", {"data": floats(N, N), "page": chw}, source="page")
    assert caught.value.code == "TP302"


def test_softmax_neither_overflows_nor_changes_its_input() -> None:
    scores = np.array([1000.0, 1000.0, -1000.0], np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert postprocess.softmax(scores, axis=0).tolist() == [0.5, 0.5, 0.0]
    assert scores[0] == 1000


def test_top_k_of_fewer_classes() -> None:
    ids, scores = postprocess.TopK(k=5, labels="")(np.array([1, 3, 2], np.int32))
    assert (ids.tolist(), scores.tolist(), scores.dtype) == ([1, 2, 0], [3, 2, 1], np.float32)


def test_class_without_a_label_fails_the_item(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("one\ntwo")
    run = postprocess.TopK(k=1, labels=str(path))
    assert run(np.array([0, 1, 0]))[2] == ["two"]
    with pytest.raises(ItemError, match="class 2 has no label: the labels file has 2 lines"):
        run(np.array([0, 0, 1]))


@pytest.mark.parametrize(
    ("classes", "space", "hint"), [(5, False, "; set space = true"), (9, False, "9$"), (4, True, "4$")]
)
def test_labels_that_do_not_match_the_model(tmp_path: Path, classes: int, hint: str, *, space: bool) -> None:
    path = tmp_path / "characters.txt"
    path.write_text("a\nb\nc\n")
    with pytest.raises(ValueError, match=hint):
        text.CTCGreedyDecode(labels=str(path), blank=0, space=space, logits=False, classes=classes)


def test_class_without_a_character_fails_the_item(tmp_path: Path) -> None:
    path = tmp_path / "characters.txt"
    path.write_text("a\nb")
    run = text.CTCGreedyDecode(labels=str(path), blank=2, space=False, logits=False, classes=None)
    assert run(np.eye(3, dtype=np.float32)[[0, 0, 2, 0, 1]])[0] == "aab"
    assert run(np.eye(3, dtype=np.float32)[[2, 2]]) == ("", 0.0)
    with pytest.raises(ItemError, match="class 3 has no character"):
        run(np.eye(4, dtype=np.float32))
    with pytest.raises(ValueError, match="blank = 9"):
        text.CTCGreedyDecode(labels=str(path), blank=9, space=False, logits=False, classes=None)


SUPPRESS = {"iou_threshold": 0.5, "score_threshold": 0.0, "max_detections": 9, "class_aware": True}


def test_no_boxes_at_all() -> None:
    kept = boxes.suppress(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), **SUPPRESS
    )
    assert [(part.shape, part.dtype.name) for part in kept] == [
        ((0, 4), "float32"),
        ((0,), "float32"),
        ((0,), "int64"),
    ]
    empty = np.zeros((1, 32, 32), np.float32)
    found, scores = text_boxes(empty)
    assert (found.shape, found.dtype, scores.shape) == ((0, 4, 2), np.int32, (0,))


def text_boxes(probability: np.ndarray, **settings: object) -> tuple[np.ndarray, np.ndarray]:
    defaults = {
        "threshold": 0.3,
        "box_threshold": 0.6,
        "unclip_ratio": 1.5,
        "min_size": 3,
        "max_candidates": 1000,
    }
    return boxes.text_boxes(probability, **{**defaults, "scaling": "", **settings})


def test_nan_scores_never_stay() -> None:
    corners = np.array([[0, 0, 9, 9], [20, 20, 29, 29]], np.float32)
    kept = boxes.suppress(corners, np.array([np.nan, 0.5], np.float32), **SUPPRESS)
    assert kept[1].tolist() == [0.5]


def test_text_boxes_in_reading_order() -> None:
    """Two words on one slightly slanted line, and a line below."""
    page = np.zeros((120, 200), np.float32)
    for x, y in ((110, 20), (20, 26), (20, 80)):
        cv2.rectangle(page, (x, y), (x + 60, y + 12), 0.9, -1)
    found, scores = text_boxes(page)
    assert [box[0].tolist() for box in found] == [[12, 18], [102, 12], [12, 72]]
    assert found[0].tolist() == [[12, 18], [88, 18], [88, 46], [12, 46]]
    assert np.allclose(scores, 0.9)


def test_text_boxes_scale_to_the_source_image() -> None:
    page = np.zeros((60, 100), np.float32)
    cv2.rectangle(page, (20, 20), (60, 30), 0.9, -1)
    plain, _ = text_boxes(page)
    scaled, _ = text_boxes(page, reference=np.zeros((120, 400, 3), np.uint8), scaling="source")
    assert np.abs(scaled - plain * [4, 2]).max() <= 2


def test_yolox_grid_must_match() -> None:
    with pytest.raises(ValueError, match="10 boxes do not belong to an input of 64x64"):
        boxes.decode_yolo(
            np.ones((10, 6), np.float32),
            form="yolox",
            score_threshold=0.1,
            max_candidates=9,
            input_h=64,
            input_w=64,
            strides=(8,),
        )
