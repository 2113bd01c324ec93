"""FROZEN BASELINE: classify JPEGs in a plain loop, with nothing but cv2 and ONNX Runtime, and no server.

    python loop.py MODEL.onnx IMAGES --seconds 6 [--threads N] [--logits FILE.npy]

What the libraries' documentation advises: one session for all threads (`run` is thread-safe) with one
intra-op thread, as the threads of the loop already fill the cores (ONNX Runtime, "Thread management"); OpenCV
without threads of its own for the same reason; a normalisation in place on contiguous planes. Both libraries
release Python's lock while they work.

The number of threads is the best of 1 to 6, tried on 2 cores: see ../RESULTS.md. Prints one JSON object.
"""

import argparse
import itertools
import json
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

MEAN = np.array([123.675, 116.28, 103.53], np.float32).reshape(3, 1, 1)
SCALE = 1 / np.array([58.395, 57.12, 57.375], np.float32).reshape(3, 1, 1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, help="a folder of JPEG files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--logits", type=Path, help="write the logits of all images there and stop")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    classify = classifier(options.model)
    images = [path.read_bytes() for path in sorted(options.images.glob("*.jpg"))]
    if options.logits:
        np.save(options.logits, np.stack([classify(image) for image in images]))
        return
    run(classify, images, options.threads, seconds=1.0)  # caches and allocators are warm after that
    print(json.dumps(run(classify, images, options.threads, options.seconds)))


def classifier(model):
    """A function from the bytes of a JPEG to float32 logits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def classify(jpeg):
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        image = cv2.resize(image, (224, 224), interpolation=cv2.INTER_LINEAR)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        planes = image.transpose(2, 0, 1).astype(np.float32, order="C")
        planes -= MEAN
        planes *= SCALE
        return session.run(None, {name: planes[np.newaxis]})[0][0]

    return classify


def run(classify, images, threads, seconds):
    """Classify the images over and over for that long; returns inferences per second, and times in ms."""
    turn = itertools.count()
    deadline = time.perf_counter() + seconds
    latencies = []

    def work():
        while (started := time.perf_counter()) < deadline:
            classify(images[next(turn) % len(images)])
            latencies.append((time.perf_counter() - started) * 1000)

    started, busy = time.perf_counter(), time.process_time()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    elapsed = time.perf_counter() - started
    cpu_ms = (time.process_time() - busy) * 1000 / len(latencies)
    p50, p99 = np.percentile(latencies, [50, 99])
    return {"throughput": len(latencies) / elapsed, "p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu_ms}


if __name__ == "__main__":
    main()
