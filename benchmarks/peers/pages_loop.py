"""FROZEN BASELINE: reads pages of digits in a plain loop, with cv2 and ONNX Runtime alone and no server.

    python pages_loop.py MODEL.onnx PAGES --seconds 6 [--threads N] [--texts FILE.json]

The digits of a page go through the network in one call. One session for all threads, with one intra-op
thread; OpenCV without threads of its own: as in loop.py. One thread shows what a page takes when nothing else
happens. Prints one JSON object.
"""

import argparse
import itertools
import json
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parent / "handwritten_bls" / "read" / "1"))

import boxes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("pages", type=Path, help="a folder of JPEG files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--texts", type=Path, help="write the texts of all pages there and stop")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    read = reader(options.model)
    pages = [path.read_bytes() for path in sorted(options.pages.glob("*.jpg"))]
    if options.texts:
        options.texts.write_text(json.dumps([read(page) for page in pages]))
        return
    run(read, pages, options.threads, seconds=1.0)  # caches and allocators are warm after that
    print(json.dumps(run(read, pages, options.threads, options.seconds)))


def reader(model):
    """A function from the bytes of a JPEG to the text of the page."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def read(jpeg):
        page = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        found = boxes.find(page)
        if not found:
            return ""
        planes = np.empty((len(found), 3, 32, 32), np.float32)
        for box, out in zip(found, planes):
            boxes.prepare(page, box, out)
        logits = session.run(None, {name: planes})[0]
        return boxes.join(logits.argmax(axis=1).tolist(), found)

    return read


def run(read, pages, threads, seconds):
    """Read the pages over and over for that long; returns pages per second, and times in ms."""
    turn = itertools.count()
    deadline = time.perf_counter() + seconds
    latencies = []

    def work():
        while (started := time.perf_counter()) < deadline:
            read(pages[next(turn) % len(pages)])
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
