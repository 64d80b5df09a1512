"""LinkNet: a residual encoder and a light decoder joined by additive skips."""

from __future__ import annotations

from torch import Tensor, nn

from humanseg.models.blocks import ConvNormRelu, Normalize, ResidualBlock

STAGES = 4


class DecoderBlock(nn.Module):
    """Reduce to a quarter of the channels, double the size, expand again."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        middle = in_channels // 4
        self.body = nn.Sequential(
            ConvNormRelu(in_channels, middle, 1),
            nn.ConvTranspose2d(middle, middle, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            ConvNormRelu(middle, out_channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        enlarged: Tensor = self.body(features)
        return enlarged


class LinkNet(nn.Module):
    """LinkNet for small inputs: the stem keeps full resolution, four residual stages halve it.

    (N, 3, h, w) RGB 0..1 -> (N, 1, h, w) logits; h and w multiples of 16. `width` is the number
    of channels of the first residual stage (64 in the paper) and a multiple of 4.

    Source: Chaurasia and Culurciello, "LinkNet", arXiv:1707.03718; the paper's stem shrinks the
    picture four times, which an input of 192x144 cannot spare.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        channels = [width * 2**stage for stage in range(STAGES)]
        stem = width // 2
        self.normalize = Normalize()
        self.stem = ConvNormRelu(3, stem)
        self.encoder = nn.ModuleList(
            nn.Sequential(ResidualBlock(before, after, stride=2), ResidualBlock(after, after))
            for before, after in zip([stem, *channels], channels, strict=False)
        )
        self.decoder = nn.ModuleList(
            DecoderBlock(below, here)
            for below, here in zip(channels[::-1], [*channels[-2::-1], stem], strict=True)
        )
        self.head = nn.Sequential(ConvNormRelu(stem, stem), nn.Conv2d(stem, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        features = self.stem(self.normalize(image))
        skips = [features]
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        skips.pop()
        for block in self.decoder:
            features = block(features) + skips.pop()
        logits: Tensor = self.head(features)
        return logits
