"""The four networks on an encoder that was trained on ImageNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Enlarge, Normalize
from humanseg.models.efficientnet_lite import MEAN, STD, EfficientNetLite
from humanseg.models.hrnet import BRANCHES, Stage
from humanseg.models.sdunet import StackedDilation
from humanseg.models.unet import double_convolution

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
    factors: tuple[int, ...] = (12, 8, 5, 3, 2)
    """Channels of the levels, coarsest first, in halves of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalize = Normalize(MEAN, STD)
        self.encoder = EfficientNetLite(self.variant)
        self.enlarge = Enlarge()
        self.detail = ConvNormRelu(3, DETAIL_CHANNELS)
        skips = (DETAIL_CHANNELS, *self.encoder.channels[:-1])[::-1]
        channels = tuple(factor * width // 2 for factor in self.factors)
        self.merge = nn.ModuleList(
            self.make_block(below + skip, here)
            for below, skip, here in zip(
                (self.encoder.channels[-1], *channels), skips, channels, strict=False
            )
        )
        self.head = nn.Conv2d(width, 1, 1)

    def make_block(self, in_channels: int, out_channels: int) -> nn.Module:
        """The block of a level: two 3x3 convolutions."""
        return double_convolution(in_channels, out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        image = self.normalize(image)
        skips = [self.detail(image), *self.encoder(image)]
        features = skips.pop()
        for block in self.merge:
            skip = skips.pop()
            features = block(torch.cat([skip, self.enlarge(features, skip)], dim=1))
        logits: Tensor = self.head(features)
        return logits


class EfficientSDUNet(EfficientUNet):
    """The same with stacked dilated convolutions; `width` must be a multiple of 16.

    Sources: Wang et al., "SDU-Net", arXiv:2004.03466; Tan and Le, "EfficientNet", arXiv:1905.11946.
    """

    variant = "lite1"
    factors = (12, 8, 6, 4, 2)

    def make_block(self, in_channels: int, out_channels: int) -> nn.Module:
        """The block of a level: five convolutions, ever more dilated."""
        return StackedDilation(in_channels, out_channels)


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
        self.enlarge = Enlarge()
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
            features = smooth(self.enlarge(narrow(features), skip) + skip)
        logits: Tensor = self.head(features)
        return logits


class EfficientLinkNetLarge(EfficientLinkNet):
    """The same with a larger encoder."""

    variant = "lite2"


class EfficientHRNet(nn.Module):
    """HRNet whose branches begin with the features of an EfficientNet-Lite.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16. Branches at 1/2, 1/4, 1/8
    and 1/16; `width` is the number of channels of the finest.

    Sources: Wang et al., "Deep High-Resolution Representation Learning", arXiv:1908.07919; Tan and
    Le, "EfficientNet", arXiv:1905.11946.
    """

    variant = "lite1"

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * 2**branch for branch in range(BRANCHES)]
        self.normalize = Normalize(MEAN, STD)
        self.encoder = EfficientNetLite(self.variant)
        self.enlarge = Enlarge()
        self.detail = ConvNormRelu(3, DETAIL_CHANNELS)
        *fine, coarsest = self.encoder.channels
        self.entry = nn.ModuleList(
            ConvNormRelu(before, after, 1) for before, after in zip(fine, channels, strict=True)
        )
        self.context = ConvNormRelu(coarsest, channels[-1], 1)
        self.stage = Stage(channels)
        self.gather = nn.ModuleList(ConvNormRelu(count, width, 1) for count in channels)
        self.head = nn.Sequential(
            ConvNormRelu(width + DETAIL_CHANNELS, width), nn.Conv2d(width, 1, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits."""
        image = self.normalize(image)
        *features, coarsest = self.encoder(image)
        branches = [entry(level) for entry, level in zip(self.entry, features, strict=True)]
        branches[-1] = branches[-1] + self.enlarge(self.context(coarsest), branches[-1])
        branches = self.stage(branches)
        gathered = self.gather[0](branches[0])
        for narrow, branch in zip(self.gather[1:], branches[1:], strict=True):
            gathered = gathered + self.enlarge(narrow(branch), gathered)
        detail = self.detail(image)
        joined = torch.cat([detail, self.enlarge(gathered, detail)], dim=1)
        logits: Tensor = self.head(joined)
        return logits
