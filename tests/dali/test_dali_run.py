"""Decoders against the kernels, format by format; the serialised pipeline; what a bad image does."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from dali.chains import (
    BATCH,
    Chain,
    compiled_chain,
    encoded_images,
    furthest,
    needs_dali,
    nodes,
    pipeline_of,
    reference,
    run_dali,
)
from small_models import write_models
from tpgen.diagnostics import ToolMissing
from tpgen.driver import BuildOptions, build, check
from tpgen.emit.dali import serialized

needs_dali()

DETECTOR = nodes(
    'backend = "DecodeMat"',
    'backend = "S[LetterBoxMat,cvtColorMat,Mat2Tensor]"\nresize_h = 96\nresize_w = 128\n'
    'pad_val = 114\ncolor = "rgb"',
)
SAME_SIZE = nodes('backend = "DecodeMat"', 'backend = "ResizeMat"\nresize_h = 43\nresize_w = 61')


def _picture() -> Image.Image:
    small = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return Image.fromarray(cv2.resize(small, (61, 43), interpolation=cv2.INTER_CUBIC))


def _file(kind: str, image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _upright(kind: str, orientation: int) -> bytes:
    """A picture that is 43 × 61 once it has been turned as its EXIF data says."""
    image = _picture() if orientation < 5 else _picture().transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return _file(kind, image, exif=exif)


def _formats() -> dict[str, bytes]:
    image, pixels = _picture(), np.asarray(_picture())
    deep = pixels.astype(np.uint16) * 257 - 3
    return {
        "PNG": _file("PNG", image),
        "grey PNG": _file("PNG", image.convert("L")),
        "PNG with alpha": _file("PNG", Image.fromarray(np.dstack([pixels, pixels[:, :, 0]]))),
        "PNG with a palette": _file("PNG", image.convert("P")),
        "BMP": _file("BMP", image),
        "TIFF": _file("TIFF", image),
        "WebP": _file("WEBP", image, quality=80),
        "JPEG": _file("JPEG", image, quality=70),
        "progressive JPEG": _file("JPEG", image, progressive=True),
        "grey JPEG": _file("JPEG", image.convert("L")),
        "JPEG with zeros behind it": _file("JPEG", image) + bytes(999),
        **{f"JPEG with orientation {number}": _upright("JPEG", number) for number in range(1, 9)},
        **{f"PNG with orientation {number}": _upright("PNG", number) for number in (3, 6)},
        "CMYK JPEG (1)": _file("JPEG", image.convert("CMYK")),
        "16-bit PNG (1)": cv2.imencode(".png", deep)[1].tobytes(),
    }


@pytest.fixture(scope="module")
def same_size(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Decodes what is 43 × 61 already: its resizing changes nothing."""
    return compiled_chain(tmp_path_factory.mktemp("chain"), SAME_SIZE)


def test_decoders_agree(same_size: Chain) -> None:
    formats = _formats()
    rng = np.random.default_rng(0)
    found = run_dali(pipeline_of(same_size.code()), same_size.outputs, list(formats.values()), rng)
    expected = reference(same_size, list(formats.values()))
    for name, one, other in zip(formats, expected, found, strict=True):
        difference = furthest(same_size.outputs, [one], [other])
        assert difference <= (1 if "(1)" in name else 0), name


def test_one_bad_image_fails_its_batch(same_size: Chain) -> None:
    good = _file("JPEG", _picture())
    for bad in (good[: len(good) // 2], good[:-2], b"no image", b"\0"):
        batch = [np.frombuffer(image, np.uint8) for image in (good, bad)]
        with pytest.raises(RuntimeError):
            pipeline_of(same_size.code()).run(data=batch)


def test_the_serialised_pipeline_computes_the_same(tmp_path: Path) -> None:
    from nvidia.dali.pipeline import Pipeline

    chain = compiled_chain(tmp_path, DETECTOR, outputs=("result", "scale", "offset"))
    rng = np.random.default_rng(2)
    images = encoded_images(rng, 40)
    file = tmp_path / "model.dali"
    file.write_bytes(serialized(chain.code()))
    loaded = Pipeline.deserialize(filename=str(file), batch_size=BATCH, prefetch_queue_depth=1)
    again = run_dali(loaded, chain.outputs, images, rng)
    first = run_dali(pipeline_of(chain.code()), chain.outputs, images, rng)
    assert furthest(chain.outputs, first, again) == 0
    assert furthest(chain.outputs, reference(chain, images), again) <= 1


WHOLE = """
[pipeline]
name = "p"
preprocess = "dali"
serialize_dali = true
inputs = {data = {type = "bytes", wire = "uint8"}}
[decode]
backend = "Sequential[DecodeMat,ResizeMat,Mat2Tensor]"
resize_h = 8
resize_w = 8
next = "net"
[net]
backend = "TensorrtTensor"
model = "convolution.onnx"
max = 4
"""


def test_a_build_writes_the_serialised_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU's devices here; only a GPU makes it of the code as it is."""
    from nvidia.dali.pipeline import Pipeline

    def on_the_cpu(code: str) -> bytes:
        return serialized(code.replace("device_id=0", "device_id=None").replace('"mixed"', '"cpu"'))

    monkeypatch.setattr(sys.modules[build.__module__], "serialized", on_the_cpu)
    write_models(tmp_path)
    (tmp_path / "p.toml").write_text(WHOLE)
    options = BuildOptions(target="gpu", cores=1)
    build(tmp_path / "p.toml", tmp_path / "repository", options)
    (file,) = (tmp_path / "repository").glob("*/1/model.dali")
    loaded = Pipeline.deserialize(filename=str(file), batch_size=4, prefetch_queue_depth=1)
    image = encoded_images(np.random.default_rng(5), 1)[0]
    loaded.feed_input("data", [np.frombuffer(image, np.uint8)] * 4)
    (found,) = loaded.run()
    expected = cv2.resize(cv2.imdecode(np.frombuffer(image, np.uint8), 1), (8, 8)).transpose(2, 0, 1)
    assert np.abs(np.asarray(found.at(0)).astype(int) - expected).max() <= 1
    (tmp_path / "p.toml").write_text(WHOLE.replace("serialize_dali = true\n", ""))
    build(tmp_path / "p.toml", tmp_path / "repository", options)
    assert not file.exists() and file.with_name("dali.py").exists()


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU")
def test_a_build_for_a_gpu_says_what_it_cannot_serialise(tmp_path: Path) -> None:
    write_models(tmp_path)
    (tmp_path / "p.toml").write_text(WHOLE)
    assert check(tmp_path / "p.toml", BuildOptions(target="gpu", cores=1)).compiled
    with pytest.raises(ToolMissing, match="the server makes it"):
        build(tmp_path / "p.toml", tmp_path / "repository", BuildOptions(target="gpu", cores=1))
    assert not (tmp_path / "repository").exists()


def test_aligned_corners_hold_on_wide_images(tmp_path: Path) -> None:
    tables = ('backend = "DecodeMat"', 'backend = "ResizeTensor"\nresize_h = 160\nresize_w = 700')
    chain = compiled_chain(tmp_path, nodes(*tables))
    rng = np.random.default_rng(3)
    shapes = [(200, 5000), (5000, 100), (1, 5000), (3000, 2)]
    images = [
        cv2.imencode(".png", rng.integers(0, 256, (*s, 3), dtype=np.uint8))[1].tobytes() for s in shapes
    ]
    found = run_dali(pipeline_of(chain.code()), chain.outputs, images, rng)
    assert furthest(chain.outputs, reference(chain, images), found) <= 0.15


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU")
def test_a_pipeline_for_a_gpu_cannot_be_serialised_without_one(same_size: Chain) -> None:
    with pytest.raises(ToolMissing, match="the server makes it"):
        serialized(same_size.code("gpu"))


@pytest.mark.gpu
@pytest.mark.parametrize(("jpeg", "most"), [(False, 1.0), (True, 16.0)])
def test_the_gpu_is_as_near_as_its_decoder(jpeg: bool, most: float, tmp_path: Path) -> None:
    """PNG is decoded on the CPU there, too; what nvJPEG does differently is printed."""
    chain = compiled_chain(tmp_path, DETECTOR, outputs=("result", "scale", "offset"))
    rng = np.random.default_rng(4)
    kind = "JPEG" if jpeg else "PNG"
    pictures = [_picture().resize((int(w), int(h))) for h, w in rng.integers(20, 400, (40, 2))]
    images = [_file(kind, picture) for picture in pictures]
    found = run_dali(pipeline_of(chain.code("gpu")), chain.outputs, images, rng)
    difference = furthest(chain.outputs, reference(chain, images), found)
    print(f"{kind} on the GPU: {difference:g} grey levels")
    assert difference <= most
