"""The usual script with MediaPipe Selfie on a file: read, mask, blur all, mix, encode.

`python benchmarks/file_usual_way.py CLIP TARGET`, in an environment with av and mediapipe 0.10.21,
the last release on PyPI whose package has the model and `mp.solutions`. Prints one JSON object.
"""

import json
import sys
import time
from fractions import Fraction

import av
import cv2
import mediapipe as mp
import numpy as np

KERNEL = (55, 55)
ENCODER = {"crf": "20", "preset": "veryfast"}


def main():
    source, target = sys.argv[1:]
    reader = cv2.VideoCapture(source)
    rate = Fraction(reader.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
    selfie = mp.solutions.selfie_segmentation.SelfieSegmentation(model_selection=1)
    count = 0
    began = time.perf_counter()
    with av.open(target, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH))
        stream.height = int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
        stream.pix_fmt = "yuv420p"
        while True:
            is_read, image = reader.read()
            if not is_read:
                break
            mask = selfie.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).segmentation_mask
            alpha = mask[..., None]
            mixed = alpha * image + (1 - alpha) * cv2.GaussianBlur(image, KERNEL, 0)
            frame = av.VideoFrame.from_ndarray(mixed.astype(np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    print(json.dumps({"frames": count, "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main()
