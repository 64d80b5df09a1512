"""A network of the size of Robust Video Matting's, built from its paper, with random weights.

Written from the description in Lin et al., "Robust High-Resolution Video Matting with Temporal
Guidance", WACV 2022 (arXiv 2108.11515), variant MobileNetV3: a MobileNetV3-Large encoder whose last
stage is dilated instead of strided, LR-ASPP, a decoder with a ConvGRU on half of its channels at
four scales, and a deep guided filter back to full size. It finds nobody; only its time counts.
"""

import torch
from torch import nn
from torch.nn import functional

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Howard et al., "Searching for MobileNetV3", table 1; stride and dilation as in the paper above.
# kernel, widened, out, squeeze and excite, hard swish, stride, dilation
BLOCKS = (
    (3, 16, 16, False, False, 1, 1),
    (3, 64, 24, False, False, 2, 1),
    (3, 72, 24, False, False, 1, 1),
    (5, 72, 40, True, False, 2, 1),
    (5, 120, 40, True, False, 1, 1),
    (5, 120, 40, True, False, 1, 1),
    (3, 240, 80, False, True, 2, 1),
    (3, 200, 80, False, True, 1, 1),
    (3, 184, 80, False, True, 1, 1),
    (3, 184, 80, False, True, 1, 1),
    (3, 480, 112, True, True, 1, 1),
    (3, 672, 112, True, True, 1, 1),
    (5, 672, 160, True, True, 1, 2),
    (5, 960, 160, True, True, 1, 2),
    (5, 960, 160, True, True, 1, 2),
)
STEM, LAST, POOLED = 16, 960, 128
KEPT = (0, 2, 5)
"""Blocks whose features the decoder sees, at a half, a quarter and an eighth of the size."""
SKIPPED = (16, 24, 40)
DECODED = (80, 40, 32, 16)
"""Channels of the decoder at an eighth, a quarter, a half and the whole of the size."""


def layer(channels, out, kernel=1, stride=1, dilation=1, groups=1, active=None):
    padding = (kernel - 1) // 2 * dilation
    layers = [
        nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([active()] if active else []))


class Excite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        eighths = max(1, int(channels / 4 + 4) // 8)
        eighths += eighths * 8 < 0.9 * channels / 4
        self.squeeze = nn.Conv2d(channels, eighths * 8, 1)
        self.widen = nn.Conv2d(eighths * 8, channels, 1)

    def forward(self, features):
        mean = features.mean((2, 3), keepdim=True)
        share = functional.hardsigmoid(self.widen(functional.relu(self.squeeze(mean))))
        return features * share


class Block(nn.Module):
    def __init__(self, channels, kernel, widened, out, excites, swishes, stride, dilation):
        super().__init__()
        active = nn.Hardswish if swishes else nn.ReLU
        layers = [layer(channels, widened, active=active)] if widened != channels else []
        layers.append(layer(widened, widened, kernel, stride, dilation, widened, active))
        layers += [Excite(widened)] if excites else []
        self.layers = nn.Sequential(*layers, layer(widened, out))
        self.adds = stride == 1 and channels == out

    def forward(self, features):
        found = self.layers(features)
        return found + features if self.adds else found


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = layer(3, STEM, 3, 2, active=nn.Hardswish)
        blocks, channels = [], STEM
        for shape in BLOCKS:
            blocks.append(Block(channels, *shape))
            channels = shape[2]
        self.blocks = nn.ModuleList(blocks)
        self.last = layer(channels, LAST, active=nn.Hardswish)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))

    def forward(self, image):
        features, kept = self.stem((image - self.mean) / self.deviation), []
        for number, block in enumerate(self.blocks):
            features = block(features)
            if number in KEPT:
                kept.append(features)
        return *kept, self.last(features)


class Pooled(nn.Module):
    """LR-ASPP: features, weighted by what the whole picture holds."""

    def __init__(self):
        super().__init__()
        self.local = layer(LAST, POOLED, active=nn.ReLU)
        self.whole = nn.Conv2d(LAST, POOLED, 1, bias=False)

    def forward(self, features):
        share = torch.sigmoid(self.whole(features.mean((2, 3), keepdim=True)))
        return self.local(features) * share


class Recurrent(nn.Module):
    """A ConvGRU on the second half of the channels; the first half passes by."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.gates = nn.Conv2d(2 * half, 2 * half, 3, padding=1)
        self.candidate = nn.Conv2d(2 * half, half, 3, padding=1)

    def forward(self, features, state):
        past, now = features.chunk(2, 1)
        reset, update = torch.sigmoid(self.gates(torch.cat((now, state), 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat((now, reset * state), 1)))
        state = (1 - update) * state + update * candidate
        return torch.cat((past, state), 1), state


def enlarged(features, like):
    found = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
    return found[:, :, : like.shape[2], : like.shape[3]]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        inside = (POOLED, *DECODED)
        self.deepest = Recurrent(POOLED)
        self.joins = nn.ModuleList(
            layer(below + skipped + 3, out, 3, active=nn.ReLU)
            for below, skipped, out in zip(inside, SKIPPED[::-1], DECODED, strict=False)
        )
        self.recurrent = nn.ModuleList(Recurrent(channels) for channels in DECODED[:3])
        last = layer(DECODED[2] + 3, DECODED[3], 3, active=nn.ReLU)
        self.output = nn.Sequential(last, layer(DECODED[3], DECODED[3], 3, active=nn.ReLU))

    def forward(self, image, skipped, deepest, states):
        pictures = [image]
        for _ in skipped:
            pictures.append(functional.avg_pool2d(pictures[-1], 2, 2, ceil_mode=True))
        features, state = self.deepest(deepest, states[0])
        left = [state]
        for number, (join, recurrent) in enumerate(zip(self.joins, self.recurrent, strict=True)):
            picture, beside = pictures[3 - number], skipped[2 - number]
            joined = torch.cat((enlarged(features, picture), beside, picture), 1)
            features, state = recurrent(join(joined), states[number + 1])
            left.append(state)
        return self.output(torch.cat((enlarged(features, image), image), 1)), left


class DeepGuidedFilter(nn.Module):
    """Small result and large picture -> large result: Wu et al., "Fast End-to-End Trainable
    Guided Filter", CVPR 2018, with the decoder's features beside."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        hidden = DECODED[3]
        first = layer(2 * 4 + hidden, hidden, active=nn.ReLU)
        second = layer(hidden, hidden, active=nn.ReLU)
        self.slope = nn.Sequential(first, second, nn.Conv2d(hidden, 4, 1))

    def forward(self, large, small, result, features):
        guide = torch.cat((small, small.mean(1, keepdim=True)), 1)
        mean, of_result = self.mean(guide), self.mean(result)
        covariance = self.mean(guide * result) - mean * of_result
        variance = self.mean(guide * guide) - mean * mean
        slope = self.slope(torch.cat((covariance, variance, features), 1))
        offset = of_result - slope * mean
        size = large.shape[2:]
        slope = functional.interpolate(slope, size=size, mode="bilinear")
        offset = functional.interpolate(offset, size=size, mode="bilinear")
        return slope * torch.cat((large, large.mean(1, keepdim=True)), 1) + offset


class RecurrentNetwork(nn.Module):
    """(1, H, W, 3) uint8 BGR and four states -> foreground, alpha (1, 1, H, W), four states.

    Args:
        height: H.
        width: W.
        ratio: of the size that the network sees to the picture's.
    """

    def __init__(self, height, width, ratio):
        super().__init__()
        self.size = (round(height * ratio), round(width * ratio))
        self.encoder, self.pooled, self.decoder = Encoder(), Pooled(), Decoder()
        self.project = nn.Conv2d(DECODED[3], 4, 1)
        self.refine = DeepGuidedFilter()

    def forward(self, picture, *states):
        large = torch.flip(picture.permute(0, 3, 1, 2).float() / 255, [1])
        small = functional.interpolate(large, size=self.size, mode="bilinear")
        *skipped, deepest = self.encoder(small)
        features, left = self.decoder(small, skipped, self.pooled(deepest), states)
        result = self.project(features)
        result = torch.cat((result[:, :3] + small, result[:, 3:]), 1)
        found = self.refine(large, small, result, features)
        return found[:, :3].clamp(0, 1), found[:, 3:].clamp(0, 1), *left

    def first_states(self):
        """The zeros that a clip begins with."""
        sides, shapes = self.size, []
        for channels in (*DECODED[2::-1], POOLED):
            sides = [(side + 1) // 2 for side in sides]
            shapes.append((1, channels // 2, *sides))
        return [torch.zeros(shape) for shape in reversed(shapes)]
