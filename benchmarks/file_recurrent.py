"""A network of the size of Robust Video Matting's on a file: read, mask, blur all, mix, encode.

OpenVINO runs it, with the network's memory of the frame before, as fast as it can on all cores.

`python benchmarks/file_recurrent.py CLIP TARGET [--ratio 0.375]`, in humanseg's own environment.
0.375 is the ratio that Robust Video Matting's documentation gives for portraits at 1280x720, the
cheaper of its two. Prints one JSON object. The weights are random, so the network runs in full, but
what is mixed is an oval: the encoder shall see a person before a blur, not noise.
"""

import argparse
import json
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import torch
from recurrent_network import RecurrentNetwork
from torch.utils.flop_counter import FlopCounterMode

from humanseg.engines.openvino_graphs import graph_of, import_openvino

KERNEL = (55, 55)
ENCODER = {"crf": "20", "preset": "veryfast"}
SOFT_EDGE = 9


class Running:
    """The network, compiled for one size; two requests take turns, so that no memory is copied."""

    def __init__(self, height, width, ratio):
        torch.manual_seed(0)
        network = RecurrentNetwork(height, width, ratio).eval()
        states = network.first_states()
        example = (torch.zeros(1, height, width, 3, dtype=torch.uint8), *states)
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            network(*example)
        self.parameters = sum(weight.numel() for weight in network.parameters())
        self.multiplications = counter.get_total_flops() // 2
        graph = graph_of(network, example)
        # Fixed shapes are faster; the picture comes as bytes, as OpenCV reads it.
        graph.reshape({index: list(tensor.shape) for index, tensor in enumerate(example)})
        compiled = (
            import_openvino().Core().compile_model(graph, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        )
        self._requests = [compiled.create_infer_request() for _ in range(2)]
        self._states = [state.numpy() for state in states]

    def alpha(self, image):
        """(H, W) float32 of the next picture."""
        inputs = dict(enumerate([image[None], *self._states]))
        self._requests.reverse()
        found = self._requests[0].infer(inputs, share_inputs=True, share_outputs=True)
        _, alpha, *self._states = (found[index] for index in range(len(found)))
        return alpha[0, 0]


def oval(height, width):
    """Where a person would be: (H, W, 1) float32."""
    mask = np.zeros((height, width), np.float32)
    middle, axes = (width // 2, round(height * 0.6)), (height // 4, height // 2)
    cv2.ellipse(mask, middle, axes, 0, 0, 360, 1, cv2.FILLED)
    return cv2.GaussianBlur(mask, (SOFT_EDGE, SOFT_EDGE), 0)[..., None]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("--ratio", type=float, default=0.375)
    chosen = parser.parse_args()
    reader = cv2.VideoCapture(chosen.source)
    rate = Fraction(reader.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
    width = int(reader.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
    running, person = Running(height, width, chosen.ratio), oval(height, width)
    count, inside = 0, 0.0
    began = time.perf_counter()
    with av.open(chosen.target, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        while True:
            is_read, image = reader.read()
            if not is_read:
                break
            network_began = time.perf_counter()
            alpha = running.alpha(image)
            inside += time.perf_counter() - network_began
            assert alpha.shape == image.shape[:2]
            mixed = person * image + (1 - person) * cv2.GaussianBlur(image, KERNEL, 0)
            frame = av.VideoFrame.from_ndarray(mixed.astype(np.uint8), format="bgr24")
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    figures = {
        "frames": count,
        "seconds": time.perf_counter() - began,
        "network_seconds": inside,
        "parameters": running.parameters,
        "multiplications": running.multiplications,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
