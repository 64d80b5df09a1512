"""Which encoder writes which codec, into which containers, with which pixels and settings."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from humanseg.errors import SettingsError

_X26X_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to code video.

    Attributes:
        codec: the name users know it by.
        library: FFmpeg's name of the encoder.
        containers: file suffixes that may hold it.
        pixels: pixel format for sizes it takes.
        odd_pixels: pixel format for odd widths or heights.
        alpha_pixels: pixel format with transparency; None where it has none.
        crf: default quality; None where it has no such setting.
        crf_limit: worst quality that may be asked for.
        presets: speeds it knows, fastest first; empty where it has none.
        preset: default speed.
        preset_option: what the encoder calls the speed.
        options: always given to the encoder.
        is_full_range: takes full-range pixels only.
    """

    codec: str
    library: str
    containers: tuple[str, ...]
    pixels: str
    odd_pixels: str
    alpha_pixels: str | None = None
    crf: int | None = None
    crf_limit: int = 51
    presets: tuple[str, ...] = ()
    preset: str = ""
    preset_option: str = "preset"
    options: tuple[tuple[str, str], ...] = ()
    is_full_range: bool = False

    def settings(self, crf: int | None, preset: str | None) -> dict[str, str]:
        """Options for FFmpeg.

        Raises:
            SettingsError: a value this encoder does not know.
        """
        settings = dict(self.options)
        if self.crf is not None:
            settings["crf"] = str(self._checked_crf(self.crf if crf is None else crf))
        elif crf is not None:
            raise SettingsError(f"crf does not apply to {self.codec}", hint="leave it out")
        if self.presets:
            settings[self.preset_option] = self._checked_preset(preset or self.preset)
        elif preset is not None:
            raise SettingsError(
                f"an encoder preset does not apply to {self.codec}", hint="leave it out"
            )
        return settings

    def _checked_crf(self, crf: int) -> int:
        if not 0 <= crf <= self.crf_limit:
            raise SettingsError(
                f"a crf of {crf} is out of range",
                hint=f"{self.codec} takes 0 (best) to {self.crf_limit} (smallest file)",
            )
        return crf

    def _checked_preset(self, preset: str) -> str:
        if preset not in self.presets:
            near = get_close_matches(preset, self.presets, n=1)
            guess = f"did you mean {near[0]}? " if near else ""
            raise SettingsError(
                f"{self.codec} has no encoder preset {preset!r}",
                hint=f"{guess}it knows {', '.join(self.presets)}",
            )
        return preset


_ENCODERS = (
    Encoder(
        "h264",
        "libx264",
        (".mp4", ".m4v", ".mov", ".mkv"),
        "yuv420p",
        "yuv444p",
        crf=20,
        presets=_X26X_PRESETS,
        preset="veryfast",
    ),
    Encoder(
        "h265",
        "libx265",
        (".mp4", ".m4v", ".mov", ".mkv"),
        "yuv420p",
        "yuv444p",
        crf=24,
        presets=_X26X_PRESETS,
        preset="veryfast",
        # x265 writes to the terminal by itself otherwise.
        options=(("x265-params", "log-level=none"),),
    ),
    Encoder(
        "vp9",
        "libvpx-vp9",
        (".webm", ".mkv", ".mp4"),
        "yuv420p",
        "yuv420p",
        alpha_pixels="yuva420p",
        crf=31,
        crf_limit=63,
        presets=("8", "7", "6", "5", "4", "3", "2", "1", "0"),
        preset="6",
        preset_option="cpu-used",
        options=(("b", "0"), ("deadline", "realtime"), ("row-mt", "1")),
    ),
    Encoder(
        "av1",
        "libsvtav1",
        (".mp4", ".mkv", ".webm"),
        "yuv420p",
        "yuv420p",
        crf=32,
        crf_limit=63,
        presets=("13", "12", "11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"),
        preset="10",
    ),
    Encoder(
        "prores",
        "prores_ks",
        (".mov", ".mkv"),
        "yuv422p10le",
        "yuv444p10le",
        alpha_pixels="yuva444p10le",
    ),
    Encoder("ffv1", "ffv1", (".mkv",), "bgr0", "bgr0", alpha_pixels="bgra"),
    Encoder(
        "mjpeg",
        "mjpeg",
        (".mov", ".mkv", ".mp4"),
        "yuv420p",
        "yuv420p",
        options=(("qmin", "2"), ("qmax", "4")),
        is_full_range=True,
    ),
    Encoder("qtrle", "qtrle", (".mov",), "rgb24", "rgb24", alpha_pixels="argb"),
    Encoder("png", "png", (".mov",), "rgb24", "rgb24", alpha_pixels="rgba"),
)
ENCODERS = {encoder.codec: encoder for encoder in _ENCODERS}

_ALIASES = {
    "avc": "h264",
    "x264": "h264",
    "hevc": "h265",
    "x265": "h265",
    "ap4h": "prores",
    **{encoder.library: encoder.codec for encoder in _ENCODERS},
}

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm")

_USUAL_CODECS = {".webm": "vp9"}
_ALPHA_CODECS = {".mov": "prores", ".webm": "vp9", ".mkv": "ffv1"}


def choose_encoder(codec: str | None, path: Path, *, alpha: bool) -> Encoder:
    """The encoder for a codec in the file's container.

    Args:
        codec: a name users know, in any case; None for the container's usual codec, with or
            without transparency.
        path: of the file to write.
        alpha: frames carry transparency.

    Raises:
        SettingsError: an unknown codec or container, or a pair that does not fit.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingsError(
            f"{suffix!r} is no kind of video file this can write" if suffix else "has no suffix",
            subject=path,
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    usual = _ALPHA_CODECS if alpha else _USUAL_CODECS
    encoder = _known(codec or usual.get(suffix, "h264"))
    if alpha:
        encoder = _with_alpha(encoder, suffix, path)
    if suffix not in encoder.containers:
        fitting = [name for name, other in ENCODERS.items() if suffix in other.containers]
        raise SettingsError(
            f"a {suffix} file cannot hold {encoder.codec}",
            subject=path,
            hint=f"it holds {', '.join(fitting)}; {encoder.codec} goes into "
            f"{', '.join(encoder.containers)}",
        )
    return encoder


def _known(codec: str) -> Encoder:
    name = codec.lower()
    name = _ALIASES.get(name, name)
    if name not in ENCODERS:
        near = get_close_matches(name, [*ENCODERS, *_ALIASES], n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise SettingsError(
            f"there is no codec {codec!r}", hint=f"{guess}known are {', '.join(ENCODERS)}"
        )
    return ENCODERS[name]


def _with_alpha(encoder: Encoder, suffix: str, path: Path) -> Encoder:
    if suffix not in _ALPHA_CODECS:
        raise SettingsError(
            f"a {suffix} file cannot hold transparency",
            subject=path,
            hint="use .mov (ProRes 4444), .webm (VP9) or .mkv (FFV1)",
        )
    if encoder.alpha_pixels is None:
        able = [name for name, other in ENCODERS.items() if other.alpha_pixels]
        raise SettingsError(
            f"{encoder.codec} cannot hold transparency", hint=f"use one of {', '.join(able)}"
        )
    return encoder
