"""A small learned refiner, to be compared with filters that need no training.

A guided filter whose coefficients are learned: two layers of 3x3 convolutions look at the mask and
at the picture in the mask's size and give, for each of its pixels, three slopes and an offset;
enlarged, they make the mask's logits from the picture's colours. Source of the idea: Wu et al.,
"Fast End-to-End Trainable Guided Filter", CVPR 2018.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from humanseg.segmenter import Segmenter
from humanseg_training.config import DataSet
from humanseg_training.data import list_pairs, read_pair

CHANNELS = 8
BATCH = 8
SHRINKS = (1.0, 0.8, 0.6)
"""Masks are shrunk so, too: a frame of a video is larger than a training picture."""
LOGIT_SPAN = 4.6
"""Logit of 0.99; surer masks are cut off there."""


class LearnedRefiner(nn.Module):
    """(N, 3, H, W) RGB 0..1, (N, 1, h, w) mask, (N, 3, h, w) RGB -> (N, 1, H, W) logits."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
        )
        self.coefficients = nn.Conv2d(CHANNELS, 4, 1)
        nn.init.zeros_(self.coefficients.weight)
        nn.init.zeros_(self.coefficients.bias)

    def forward(self, picture, mask, small):
        logits = torch.logit(mask.clamp(0.01, 0.99))
        found = self.coefficients(self.body(torch.cat([logits / LOGIT_SPAN, small - 0.5], 1)))
        slopes = LOGIT_SPAN * found[:, :3]
        offset = logits + found[:, 3:] - (slopes * small).sum(1, keepdim=True)
        layers = functional.interpolate(
            torch.cat([slopes, offset], 1), size=picture.shape[-2:], mode="bilinear"
        )
        return (layers[:, :3] * picture).sum(1, keepdim=True) + layers[:, 3:]


def read_samples(root: Path, images: str, masks: str, preset: str, most: int | None = None):
    """Pictures (H, W, 3) RGB, truths (H, W), masks (h, w): at most so many, all of one size."""
    samples = []
    with Segmenter(preset, threads=1) as segmenter:
        for pair in list_pairs(root, DataSet(images, masks)):
            picture, truth = read_pair(pair)
            if picture.shape == (320, 240, 3):
                [mask] = segmenter.masks([np.ascontiguousarray(picture[..., ::-1])])
                samples.append((picture, truth, mask))
            if len(samples) == most:
                break
    return samples


def train(samples, steps: int, *, seed: int = 0) -> LearnedRefiner:
    """Cross-entropy near the outline; AdamW, cosine."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = LearnedRefiner()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 + math.cos(math.pi * step / steps))
        chosen = [samples[index] for index in random.choice(len(samples), BATCH)]
        shrink, mirror = random.choice(SHRINKS), random.random() < 0.5
        picture, truth, mask, small = _batch(chosen, shrink)
        if mirror:
            picture, truth, mask, small = (x.flip(-1) for x in (picture, truth, mask, small))
        logits = network(picture, mask, small)
        near = functional.max_pool2d(truth, 9, 1, 4) + functional.max_pool2d(-truth, 9, 1, 4)
        losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        weight = 0.05 + near
        optimizer.zero_grad()
        ((losses * weight).sum() / weight.sum()).backward()
        optimizer.step()
    return network.eval()


@torch.inference_mode()
def refine(network: LearnedRefiner, mask, image):
    """(h, w) mask and (H, W, 3) BGR picture -> (H, W) 0..1."""
    rgb = np.ascontiguousarray(image[..., ::-1])
    small = _shrunk(rgb, mask.shape)
    logits = network(_planes([rgb]), torch.from_numpy(mask)[None, None], _planes([small]))
    return torch.sigmoid(logits)[0, 0].numpy()


def _batch(samples, shrink):
    masks = [
        cv2.resize(mask, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        for _, _, mask in samples
    ]
    smalls = [_shrunk(sample[0], mask.shape) for sample, mask in zip(samples, masks, strict=True)]
    truths = np.stack([truth > 127 for _, truth, _ in samples]).astype(np.float32)
    return (
        _planes([picture for picture, _, _ in samples]),
        torch.from_numpy(truths)[:, None],
        torch.from_numpy(np.stack(masks))[:, None],
        _planes(smalls),
    )


def _shrunk(picture, size):
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)


def _planes(pictures):
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2)).float() / 255
