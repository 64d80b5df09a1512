"""Whole jobs: a video to a video, pictures to pictures, a video to mattes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import cv2

from humanseg.backgrounds import open_background
from humanseg.composite import OUTPUTS, PLANAR_OUTPUTS, Compositor
from humanseg.errors import (
    HumansegError,
    Interrupted,
    OutputError,
    PartialError,
    SettingsError,
    SinkError,
    SourceError,
)
from humanseg.frames import Frame, Matte, StreamInfo
from humanseg.gate import NO_GATE, MotionGate
from humanseg.media.av_gate import sink_error
from humanseg.pipeline import Pipeline, Progress, Stages, Summary
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import find_preset
from humanseg.sinks.image_sequence import ImageSequenceSink, is_sequence
from humanseg.sinks.images import SUFFIXES, write_image
from humanseg.sinks.target import check_target
from humanseg.sinks.video_file import VideoFileSink
from humanseg.sources.images import list_images, read_image
from humanseg.sources.video_file import VideoFileSource
from humanseg.stopwatch import Stopwatch
from humanseg.temporal import TemporalSmoother
from humanseg.threads import share

T = TypeVar("T")

BATCH = 4
"""Pictures in memory at once."""


def process_video(
    source: str | Path,
    target: str | Path,
    *,
    background: str | Path = "blur",
    output: str = "composite",
    preset: str = "balanced",
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    codec: str | None = None,
    crf: int | None = None,
    encoder_preset: str | None = None,
    gate: bool = True,
    light_wrap: float = 0.0,
    premultiplied: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Cut the people out of a video file and write another, in step and with its sound.

    Args:
        source: video file.
        target: video file, whose suffix chooses the container; or numbered pictures such as
            "out-%05d.png".
        background: "blur", "blur:0.8" (0..1), a colour ("green", "#00ff00", "0,255,0"), or the
            path of a picture or a video.
        output: "composite", "mask" (grey), "alpha" (transparent background), or "foreground"
            (before black).
        preset: "fast", "balanced" or "best".
        device: "auto", "cpu", "cuda" or "mps".
        engine: "auto", "torch", "openvino" or "int8".
        threads: of the processor; None takes all cores.
        codec: of the target, such as "h264"; None chooses by container and output.
        crf: quality of the encoder, smaller is better; None takes the encoder's usual value.
        encoder_preset: speed of the encoder, such as "veryfast".
        light_wrap: 0..1, how much of the background's light spills over people's edges.
        premultiplied: colours of "alpha" are multiplied by it, as some editors want them.
        gate: leave the networks out while nothing moves, where the preset does.
        overwrite: replace the target if it exists.
        on_progress: called some ten times a second.

    Raises:
        InputError: something asked for cannot be; nothing was written.
        OutputError: the target cannot be written; what exists is kept and named.
        PartialError: the source ended early; the target is finished, `summary` tells its figures.
        Interrupted: Ctrl-C; what was written is kept in the file that the error names.
    """
    settings = find_preset(preset)
    shares = share(threads)
    cv2.setNumThreads(shares.picture)
    with (
        VideoFileSource(Path(source), threads=shares.decode, planar=True) as video,
        open_background(background) as behind,
        _open_sink(
            Path(target),
            video.info,
            output,
            overwrite=overwrite,
            encoding=Encoding(codec, crf, encoder_preset, shares.encode),
            copy_from=Path(source),
        ) as sink,
        Segmenter(
            preset, device=device, engine=engine, threads=threads, goal="throughput"
        ) as segmenter,
    ):
        video.is_planar = video.is_planar and output in PLANAR_OUTPUTS and sink.takes_planes
        stages = Stages(
            segmenter,
            TemporalSmoother(settings.smoothing),
            Refiner(settings.refine),
            Compositor(
                behind,
                output,
                replace(settings.blend, light_wrap=light_wrap),
                premultiplied=premultiplied,
            ),
            MotionGate(settings.gate if gate else NO_GATE),
        )
        began = time.monotonic()
        try:
            figures = Pipeline(video, stages, sink).run(on_progress)
            sink.close()
        except KeyboardInterrupt as interruption:  # also while the file is being finished
            sink.abort()
            kept = sink.partial_path if sink.frames else None
            raise Interrupted(kept=kept, frames=sink.frames) from interruption
        except SinkError:
            raise
        except Exception as error:
            sink.abort()
            if not sink.frames:
                raise
            reported = _kept(error, sink)
            raise reported from (None if reported is error else error)
        summary = Summary(
            target=Path(target),
            frames=figures.frames,
            promised=video.info.frame_count,
            seconds=time.monotonic() - began,
            stage_seconds=figures.stage_seconds,
            width=video.info.width,
            height=video.info.height,
            preset=preset,
            engine=segmenter.engine_name,
            copied=sink.copied,
            warnings=(*video.warnings, *sink.warnings),
        )
    return _unless_partial(summary, figures.problem)


def process_images(
    source: str | Path,
    target: str | Path,
    *,
    background: str | Path = "blur",
    output: str = "composite",
    preset: str = "balanced",
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    light_wrap: float = 0.0,
    premultiplied: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Summary:
    """Cut the people out of a picture, or of every picture in a folder.

    Args:
        source: a picture, or a folder of pictures.
        target: a picture for a picture; else a folder, made when missing, whose pictures have the
            stems of the source's. Masks and transparent pictures in a folder are PNGs.
        background: as in `process_video`.
        output: as in `process_video`; "mask" gives 8-bit grey pictures.
        preset: as in `process_video`.
        device: as in `process_video`.
        engine: as in `process_video`.
        threads: as in `process_video`.
        light_wrap: as in `process_video`.
        premultiplied: as in `process_video`.
        overwrite: replace pictures that exist.
        on_progress: called after every few pictures.

    Raises:
        InputError: something asked for cannot be; nothing was written.
        OutputError: a picture cannot be written.
        PartialError: some pictures of a folder cannot be read; the others were written.
        Interrupted: Ctrl-C; the pictures written so far are whole.
    """
    find_preset(preset)
    cv2.setNumThreads(share(threads).picture)
    pairs = _image_pairs(Path(source), Path(target), output)
    for image, into in pairs:
        _check_picture_target(image, into, overwrite=overwrite)
    stopwatch = Stopwatch("decode", "infer", "composite", "encode")
    unreadable: list[HumansegError] = []
    written, size, began = 0, (0, 0), time.monotonic()
    with (
        open_background(background) as behind,
        Segmenter(
            preset, device=device, engine=engine, threads=threads, goal="throughput"
        ) as segmenter,
    ):
        blend = replace(find_preset(preset).blend, light_wrap=light_wrap)
        compositor = Compositor(behind, output, blend, premultiplied=premultiplied)
        try:
            for chunk in _chunks(pairs, BATCH):
                with stopwatch("decode"):
                    frames, targets = _read_images(chunk, unreadable, alone=len(pairs) == 1)
                with stopwatch("infer"):
                    alphas = segmenter.predict(frames)
                for frame, alpha, into in zip(frames, alphas, targets, strict=True):
                    with stopwatch("composite"):
                        result = compositor.compose(frame, alpha)
                    with stopwatch("encode"):
                        _write_picture(result, into, output, overwrite=overwrite)
                    written, size = written + 1, (result.width, result.height)
                if on_progress is not None:
                    on_progress(Progress(written, len(pairs), time.monotonic() - began))
        except KeyboardInterrupt:
            raise Interrupted(kept=Path(target) if written else None, frames=written) from None
    summary = Summary(
        target=Path(target),
        frames=written,
        promised=len(pairs),
        seconds=time.monotonic() - began,
        stage_seconds=stopwatch.seconds,
        width=size[0],
        height=size[1],
        preset=preset,
        engine=segmenter.engine_name,
        copied=(),
        warnings=tuple(str(error) for error in unreadable),
    )
    if unreadable and not written:
        raise unreadable[0]
    problem = None
    if unreadable:
        problem = PartialError(f"{written} of {len(pairs)} pictures could be read", subject=source)
    return _unless_partial(summary, problem)


def matte(
    source: str | Path,
    preset: str = "balanced",
    *,
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
) -> Iterator[Matte]:
    """Give the frames of a video with their alphas, one by one, smoothed over time.

    No thread is started; the caller's loop sets the pace.

    Args:
        source: video file.
        preset: "fast", "balanced" or "best".
        device: "auto", "cpu", "cuda" or "mps".
        engine: "auto", "torch", "openvino" or "int8".
        threads: of the processor; None takes all cores.

    Raises:
        InputError: something asked for cannot be.
        PartialError: the source ended early, after all its frames were given.
    """
    settings = find_preset(preset)
    smoother, refiner = TemporalSmoother(settings.smoothing), Refiner(settings.refine)
    with (
        VideoFileSource(Path(source), threads=share(threads).decode) as video,
        Segmenter(preset, device=device, engine=engine, threads=threads) as segmenter,
    ):
        problem: PartialError | None = None
        try:
            for frame in video:
                [mask] = segmenter.masks([frame])
                for ready, smoothed in smoother.push(frame, mask):
                    yield Matte(ready, refiner.refine(ready.pixels, smoothed))
        except PartialError as error:
            problem = error
        for ready, smoothed in smoother.flush():
            yield Matte(ready, refiner.refine(ready.pixels, smoothed))
        if problem is not None:
            raise problem


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a video is coded; None leaves the choice to the sink."""

    codec: str | None
    crf: int | None
    preset: str | None
    threads: int


def _open_sink(
    target: Path,
    like: StreamInfo,
    output: str,
    *,
    overwrite: bool,
    encoding: Encoding,
    copy_from: Path,
) -> VideoFileSink | ImageSequenceSink:
    """What the target's name asks for."""
    if not is_sequence(target):
        return VideoFileSink(
            target,
            like,
            codec=encoding.codec,
            crf=encoding.crf,
            encoder_preset=encoding.preset,
            alpha=output == "alpha",
            overwrite=overwrite,
            copy_from=copy_from,
            threads=encoding.threads,
        )
    if any(value is not None for value in (encoding.codec, encoding.crf, encoding.preset)):
        raise SettingsError(
            "codec, crf and encoder preset do not apply to pictures",
            subject=target,
            hint="leave them out",
        )
    return ImageSequenceSink(
        target, alpha=output == "alpha", grey=output == "mask", overwrite=overwrite
    )


def _kept(error: Exception, sink: VideoFileSink | ImageSequenceSink) -> Exception:
    """The error to raise where frames were written before it, naming the file they are in."""
    kept = f"{sink.frames} frames are kept in {sink.partial_path}"
    if isinstance(error, HumansegError):
        return OutputError(error.what, subject=error.subject, hint=kept)
    error.add_note(kept)
    return error


def _unless_partial(summary: Summary, problem: PartialError | None) -> Summary:
    if problem is not None:
        problem.summary = summary
        raise problem
    return summary


def _image_pairs(source: Path, target: Path, output: str) -> list[tuple[Path, Path]]:
    """Every picture to read, with the file its result goes to."""
    if output not in OUTPUTS:
        raise SettingsError(f"there is no output '{output}'", hint=f"one of {', '.join(OUTPUTS)}")
    images = list_images(source)
    if not source.is_dir() and not target.is_dir() and target.suffix:
        return [(images[0], target)]
    if target.is_file():
        raise SettingsError(
            "is a file, and a folder of pictures needs a folder to go to", subject=target
        )
    pairs = [(image, target / (image.stem + _suffix(image, output))) for image in images]
    doubled = _first_double([into for _, into in pairs])
    if doubled is not None:
        raise SettingsError(
            "two pictures of the folder would be written to this file",
            subject=doubled,
            hint="rename one of them: their names differ only in the suffix",
        )
    return pairs


def _write_picture(result: Frame, into: Path, output: str, *, overwrite: bool) -> None:
    pixels = result.pixels[..., 0] if output == "mask" else result.pixels
    try:
        into.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise sink_error(error, into.parent, frames=0, kept=None) from error
    write_image(into, pixels, overwrite=overwrite)


def _suffix(image: Path, output: str) -> str:
    suffix = image.suffix.lower()
    return suffix if output in ("composite", "foreground") and suffix in SUFFIXES else ".png"


def _first_double(paths: Sequence[Path]) -> Path | None:
    seen: set[str] = set()
    for path in paths:
        # Some systems take names that differ only in case for one.
        name = str(path).casefold()
        if name in seen:
            return path
        seen.add(name)
    return None


def _check_picture_target(image: Path, into: Path, *, overwrite: bool) -> None:
    if into.suffix.lower() not in SUFFIXES:
        raise SettingsError(
            "is no kind of picture this can write",
            subject=into,
            hint=f"use one of {', '.join(SUFFIXES)}",
        )
    if into.parent.is_dir():
        check_target(into, overwrite=overwrite, sources=[image])
    elif into.parent.exists():
        raise SettingsError("is a file, not a folder", subject=into.parent, hint="name a folder")
    elif not into.parent.parent.is_dir():
        raise SettingsError(
            "cannot be made: the folder it would lie in does not exist", subject=into.parent
        )
    elif not os.access(into.parent.parent, os.W_OK | os.X_OK):
        raise SettingsError(
            "cannot be made: the folder it would lie in is read-only",
            subject=into.parent,
            hint="choose a folder you may write to",
        )


def _read_images(
    pairs: Sequence[tuple[Path, Path]], unreadable: list[HumansegError], *, alone: bool
) -> tuple[list[Frame], list[Path]]:
    frames: list[Frame] = []
    targets: list[Path] = []
    for image, into in pairs:
        try:
            pixels = read_image(image)
        except SourceError as error:
            if alone:
                raise
            unreadable.append(error)
            continue
        frames.append(Frame(pixels, len(frames), Fraction(0)))
        targets.append(into)
    return frames, targets


def _chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    for begin in range(0, len(items), length):
        yield items[begin : begin + length]
