"""U-Net and LinkNet decoders on an encoder that was trained on ImageNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Normalize
from humanseg.models.efficientnet_lite import MEAN, STD, EfficientNetLite, enlarge_to

DETAIL_CHANNELS = 8


class EfficientUNet(nn.Module):
    """U-Net whose contracting path is an EfficientNet-Lite.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16. `width` is the number of
    channels at full size. The encoder begins at half size, so a shallow branch brings the picture's
    own detail to the last level.

    Sources: Ronneberger et al., "U-Net", arXiv:1505.04597; Tan and Le, "EfficientNet",
    arXiv:1905.11946.
    """

    variant = "lite2"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(MEAN, STD)
        self.encoder = EfficientNetLite(self.variant)
        self.detail = ConvNormRelu(3, DETAIL_CHANNELS)
        skips = (DETAIL_CHANNELS, *self.encoder.channels[:-1])[::-1]
        channels = (6 * width, 4 * width, 5 * width // 2, 3 * width // 2, width)
        self.merge = nn.ModuleList(
            nn.Sequential(ConvNormRelu(below + skip, here), ConvNormRelu(here, here))
            for below, skip, here in zip(
                (self.encoder.channels[-1], *channels), skips, channels, strict=False
            )
        )
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        image = self.normalize(image)
        skips = [self.detail(image), *self.encoder(image)]
        features = skips.pop()
        for block in self.merge:
            skip = skips.pop()
            features = block(torch.cat([skip, enlarge_to(features, skip)], dim=1))
        logits: Tensor = self.head(features)
        return logits


class EfficientLinkNet(nn.Module):
    """LinkNet whose encoder is an EfficientNet-Lite: light levels joined by additive skips.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16. `width` is the number of
    channels at full size.

    Sources: Chaurasia and Culurciello, "LinkNet", arXiv:1707.03718; Tan and Le, "EfficientNet",
    arXiv:1905.11946.
    """

    variant = "lite0"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(MEAN, STD)
        self.encoder = EfficientNetLite(self.variant)
        self.detail = ConvNormRelu(3, width)
        skips = (width, *self.encoder.channels[:-1])[::-1]
        self.narrow = nn.ModuleList(
            ConvNormRelu(below, here, 1)
            for below, here in zip((self.encoder.channels[-1], *skips), skips, strict=False)
        )
        self.smooth = nn.ModuleList(ConvNormRelu(here, here) for here in skips)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        image = self.normalize(image)
        skips = [self.detail(image), *self.encoder(image)]
        features = skips.pop()
        for narrow, smooth in zip(self.narrow, self.smooth, strict=True):
            skip = skips.pop()
            # Narrowed before it is enlarged: a quarter of the pixels to work on.
            features = smooth(enlarge_to(narrow(features), skip) + skip)
        logits: Tensor = self.head(features)
        return logits
