"""The usual loop with MediaPipe Selfie: read, mask, blur everything, mix, send; for comparison.

`python benchmarks/live_usual_way.py CLIP SECONDS MEMORY`, in an environment with mediapipe 0.10.21,
the last release on PyPI whose package has the model and `mp.solutions`.
"""

import json
import sys
import time

import cv2
import mediapipe as mp
import numpy as np
from paced_capture import PacedCapture

WARM_UP = 1.0
KERNEL = (55, 55)


class NoCamera:
    """What stands for a virtual camera: it keeps a copy of the picture, as the kernel would."""

    def __init__(self, height, width):
        self._kept = np.empty((height, width, 3), np.uint8)

    def send(self, picture):
        np.copyto(self._kept, picture)


def main():
    path, seconds, in_memory = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "memory"
    capture = PacedCapture(path, in_memory=in_memory)
    selfie = mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=1)
    camera = NoCamera(720, 1280)
    delays, frames, began, used, lost = [], 0, None, 0.0, 0
    ends = time.monotonic() + WARM_UP + seconds
    while time.monotonic() < ends:
        _, frame = capture.read()
        mask = selfie.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)).segmentation_mask
        blurred = cv2.GaussianBlur(frame, KERNEL, 0)
        share = mask[..., None]
        mixed = (frame * share + blurred * (1 - share)).astype(np.uint8)
        camera.send(cv2.cvtColor(mixed, cv2.COLOR_BGR2RGB))
        now = time.monotonic()
        if began is None and now > ends - seconds:
            began, used, lost = now, time.process_time(), capture.lost
        elif began is not None:
            delays.append(now - capture.due)
            frames += 1
    elapsed = time.monotonic() - began
    print(
        json.dumps(
            {
                "rate_in": (frames + capture.lost - lost) / elapsed,
                "rate_out": frames / elapsed,
                "dropped": capture.lost - lost,
                "delay_p50": float(np.percentile(delays, 50)),
                "delay_p95": float(np.percentile(delays, 95)),
                "cores": (time.process_time() - used) / elapsed,
                "cpu_ms": 1000 * (time.process_time() - used) / max(1, frames),
            }
        )
    )


if __name__ == "__main__":
    main()
