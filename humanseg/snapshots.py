"""Snapshots: masks and composites of a few frames, with all that made them, to compare with later.

A snapshot is a folder of PNGs and a `snapshot.json`; see docs/regression.md.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2

from humanseg.backgrounds import open_background
from humanseg.composite import Compositor, grey
from humanseg.errors import PartialError, SettingsError, SourceError
from humanseg.frames import Frame, Matte
from humanseg.media.av_gate import reading, sink_error
from humanseg.provenance import provenance
from humanseg.refine import Refiner
from humanseg.segmenter import Segmenter
from humanseg.settings import find_preset
from humanseg.sinks.images import write_image
from humanseg.sinks.target import partial_path
from humanseg.sources.images import SUFFIXES, list_images, read_image
from humanseg.sources.video_file import VideoFileSource
from humanseg.temporal import TemporalSmoother
from humanseg.threads import share

FILE = "snapshot.json"
FORMAT = 1
"""Of the JSON; grows when a reader of today would misread it."""

USUAL_FRAMES = (0, 30, 60)
"""Of a video, when none are named."""


@dataclass(frozen=True, slots=True)
class FrameFiles:
    """One frame of a snapshot.

    Attributes:
        index: number of the frame in the video, or of the picture in its folder, from 0.
        name: of the picture; the time in seconds for a frame of a video.
        mask: file of the mask: grey, 8 bits, of the frame's size.
        composite: file of the composite.
    """

    index: int
    name: str
    mask: Path
    composite: Path


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A folder with masks and composites.

    Attributes:
        folder: in which all files lie.
        frames: in the order of their index.
        facts: what made them: "humanseg", "versions", "source", "settings", "weights", "shares",
            "engine", as JSON has them.
    """

    folder: Path
    frames: tuple[FrameFiles, ...]
    facts: Mapping[str, Any]


def take_snapshot(
    source: str | Path,
    folder: str | Path,
    *,
    frames: Sequence[int] | None = None,
    background: str | Path = "blur",
    preset: str = "balanced",
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> Snapshot:
    """Store masks and composites of some frames, with versions, weights and settings.

    The masks of a video are those that `process_video` gives: smoothed over all frames before.

    Args:
        source: a video, a picture, or a folder of pictures.
        folder: to make, or an empty one.
        frames: their numbers, from 0; None for 0, 30 and 60 of a video, and for all pictures.
        background: as in `process_video`.
        preset: as in `process_video`.
        device: as in `process_video`.
        engine: as in `process_video`.
        threads: as in `process_video`.
        overwrite: replace the snapshot that lies in the folder.

    Raises:
        InputError: something asked for cannot be, or the source has no such frame or broke off
            before it; nothing was written.
        SinkError: a file cannot be written.
    """
    source, folder = Path(source), Path(folder)
    _check_folder(folder, overwrite=overwrite)
    if frames is not None and (not frames or min(frames) < 0):
        raise SettingsError("frames are numbered from 0", hint="ask for --frames 0,30,60, say")
    find_preset(preset)
    cv2.setNumThreads(share(threads).picture)
    with (
        open_background(background) as behind,
        # One machine's engine may round and another's not: what is kept is compared between them.
        Segmenter(preset, device=device, engine=engine, threads=threads, exact=True) as segmenter,
    ):
        compositor = Compositor(behind)
        partial = partial_path(folder)
        _make(partial)
        try:
            stored = [
                _store(partial, matte, name, compositor)
                for matte, name in _mattes(source, frames, segmenter, preset, threads)
            ]
            facts = provenance(
                source,
                preset,
                ran_on=segmenter.engine_name,
                background=background,
                device=device,
                engine=engine,
                threads=threads,
            )
            _write_json(partial / FILE, facts, stored)
            _move(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return read_snapshot(folder)


def read_snapshot(folder: str | Path) -> Snapshot:
    """Read what a snapshot says of itself; its pictures are read when they are needed.

    Raises:
        SourceError: the folder is missing, or is no snapshot of a format that is known.
    """
    folder = Path(folder)
    path = folder / FILE
    if folder.is_dir() and not path.exists():
        raise SourceError(
            f"is no snapshot: it has no {FILE}",
            subject=folder,
            hint=f"make one with humanseg snapshot VIDEO {folder}",
        )
    try:
        with reading(path):
            stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']} is not {FORMAT}")
        frames = tuple(
            FrameFiles(
                int(entry["index"]),
                str(entry["name"]),
                _inside(folder, entry["mask"]),
                _inside(folder, entry["composite"]),
            )
            for entry in stored["frames"]
        )
    except (KeyError, TypeError, ValueError) as error:  # JSONDecodeError is a ValueError
        raise SourceError(
            f"cannot be read: {error}",
            subject=path,
            hint="take the snapshot again, with this version of humanseg",
        ) from error
    facts = {key: value for key, value in stored.items() if key not in ("format", "made", "frames")}
    return Snapshot(folder, frames, facts)


def _inside(folder: Path, name: str) -> Path:
    """A file of the folder; a snapshot from elsewhere must not lead out of it."""
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no name of a file")
    return folder / name


def _mattes(
    source: Path,
    wanted: Sequence[int] | None,
    segmenter: Segmenter,
    preset: str,
    threads: int | None,
) -> Iterator[tuple[Matte, str]]:
    """The wanted frames with their alphas, and a name for each."""
    if source.is_dir() or source.suffix.lower() in SUFFIXES:
        images = list_images(source)
        indices = range(len(images)) if wanted is None else sorted(set(wanted))
        _check_reached(source, indices, len(images))
        for index in indices:
            pixels = read_image(images[index])
            [alpha] = segmenter.predict([pixels])
            yield Matte(Frame(pixels, index, Fraction(0)), alpha), images[index].name
        return
    left = set(USUAL_FRAMES if wanted is None else wanted)
    settings, count = find_preset(preset), 0
    smoother, refiner = TemporalSmoother(settings.smoothing), Refiner(settings.refine)
    with VideoFileSource(source, threads=share(threads).decode) as video:
        try:
            for frame in video:
                count = frame.index + 1
                [mask] = segmenter.masks([frame])
                smoothed = smoother.update(frame, mask)
                if frame.index in left:
                    left.remove(frame.index)
                    alpha = refiner.refine(frame.pixels, smoothed)
                    yield Matte(frame, alpha), f"{float(frame.time):.3f} s"
                if not left:
                    return
        except PartialError as error:
            raise SourceError(
                f"broke off before frame {min(left)}: {error.what}",
                subject=source,
                hint=f"ask for --frames below {count}, or copy the file again",
            ) from error
    _check_reached(source, left, count)


def _check_reached(source: Path, wanted: Sequence[int] | set[int], count: int) -> None:
    beyond = [index for index in wanted if index >= count]
    if beyond:
        raise SourceError(
            f"has no frame {min(beyond)}: there are {count}",
            subject=source,
            hint=f"ask for --frames from 0 to {count - 1}",
        )


def _store(folder: Path, matte: Matte, name: str, compositor: Compositor) -> dict[str, Any]:
    """Write the pictures of a frame; returns its entry in the JSON."""
    index, alpha = matte.frame.index, matte.alpha
    files = {kind: f"{kind}-{index:06d}.png" for kind in ("mask", "composite")}
    write_image(folder / files["mask"], grey(alpha))
    write_image(folder / files["composite"], compositor.compose(matte.frame, alpha).pixels)
    return {"index": index, "name": name, **files, "people": round(float(alpha.mean()), 6)}


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    if not folder.exists():
        if not folder.absolute().parent.is_dir():
            raise SettingsError(
                "cannot be made: the folder it would lie in does not exist", subject=folder
            )
        return
    if not folder.is_dir():
        raise SettingsError("is a file, not a folder", subject=folder, hint="name a folder")
    if (folder / FILE).exists():
        if not overwrite:
            raise SettingsError(
                "holds a snapshot already",
                subject=folder,
                hint="choose another folder, or use --overwrite",
            )
    elif any(folder.iterdir()):
        raise SettingsError(
            "holds other files", subject=folder, hint="name a new folder, or an empty one"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except OSError as error:
        raise sink_error(error, folder, frames=0, kept=None) from error


def _write_json(path: Path, facts: Mapping[str, Any], frames: Sequence[Mapping[str, Any]]) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps({"format": FORMAT, "made": now, **facts, "frames": frames}, indent=2)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise sink_error(error, path, frames=0, kept=None) from error


def _move(partial: Path, folder: Path) -> None:
    """Put finished files in their place; of an older snapshot go only the files it names."""
    try:
        folder.mkdir(exist_ok=True)
        if (folder / FILE).exists():
            older = read_snapshot(folder)
            (folder / FILE).unlink()
            for frame in older.frames:
                frame.mask.unlink(missing_ok=True)
                frame.composite.unlink(missing_ok=True)
        # The JSON comes last: a folder that has it is whole.
        for path in sorted(partial.iterdir(), key=lambda path: path.name == FILE):
            os.replace(path, folder / path.name)
    except OSError as error:
        raise sink_error(error, folder, frames=0, kept=None) from error
