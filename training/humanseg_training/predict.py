"""Networks and presets as functions from pictures to alphas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import nn

from humanseg.sizes import NETWORK_PIXELS, input_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

Predict = Callable[[Sequence["NDArray[np.uint8]"]], Sequence["NDArray[np.float32]"]]
"""Pictures (H, W, 3) RGB of one size -> alphas (H, W) 0..1 of that size."""

CHUNK = 16
"""Pictures that are predicted at once."""


def predictor(
    network: nn.Module, *, flip: bool = False, areas: Sequence[int] = (NETWORK_PIXELS,)
) -> Predict:
    """Make a predictor of a network, wherever it lies.

    Args:
        network: (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits.
        flip: average with the mirror image.
        areas: in which it sees a picture, in pixels; the alphas of several are averaged.
    """
    from humanseg_training.postprocess import MirrorAverage

    whole = (MirrorAverage(network) if flip else network).eval()
    device = next((value.device for value in network.parameters()), torch.device("cpu"))

    @torch.inference_mode()
    def seen_in(area: int, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        height, width = images[0].shape[:2]
        size = input_size(height, width, pixels=area)
        small = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA) for image in images]
        batch = torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).astype(np.float32) / 255)
        batch = batch.to(device, memory_format=torch.channels_last)
        probability = torch.sigmoid(whole(batch))[:, 0].float()
        return enlarge(probability.cpu().numpy(), height, width)

    def predict(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        found = [seen_in(area, images) for area in areas]
        return [np.mean(alphas, axis=0, dtype=np.float32) for alphas in zip(*found, strict=True)]

    return predict


def preset_predictor(preset: str, *, engine: str = "auto", threads: int | None = None) -> Predict:
    """Predict as a user's picture is predicted: networks, refinement and all.

    Raises:
        SettingsError: no such preset or engine.
        WeightsError: weights are missing or damaged.
    """
    from humanseg.segmenter import Segmenter

    segmenter = Segmenter(preset, device="cpu", engine=engine, threads=threads)

    def predict(images: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.float32]]:
        return segmenter.predict([np.ascontiguousarray(image[..., ::-1]) for image in images])

    return predict


def predict_all(images: list[NDArray[np.uint8]], predict: Predict) -> list[NDArray[np.float32]]:
    """Predict pictures of several sizes; equal sizes go together."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, image in enumerate(images):
        by_size.setdefault(image.shape, []).append(index)
    alphas: dict[int, NDArray[np.float32]] = {}
    for indices in by_size.values():
        for begin in range(0, len(indices), CHUNK):
            chunk = indices[begin : begin + CHUNK]
            results = predict([images[index] for index in chunk])
            alphas.update(zip(chunk, results, strict=True))
    return [alphas[index] for index in range(len(images))]


def enlarge(masks: NDArray[np.float32], height: int, width: int) -> list[NDArray[np.float32]]:
    """Bilinear enlargement of (N, h, w) masks to the pictures' size."""
    return [
        np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for mask in masks
    ]
