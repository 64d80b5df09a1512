"""What made a result: versions, weights, settings, and the content of the source."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import humanseg
from humanseg.media.av_gate import reading
from humanseg.models import registry
from humanseg.settings import find_preset
from humanseg.sources.images import list_images
from humanseg.threads import share

PACKAGES = ("av", "numpy", "opencv-python", "openvino", "torch")
"""Whose versions can move a pixel."""


def provenance(
    source: Path,
    preset: str,
    *,
    ran_on: str,
    background: str | Path = "blur",
    device: str = "auto",
    engine: str = "auto",
    threads: int | None = None,
) -> dict[str, Any]:
    """Everything a result depends on, as JSON takes it.

    Args:
        source: file or folder of pictures that was read.
        preset: "fast", "balanced" or "best".
        ran_on: what the engine calls itself.
        background: as it was asked for.
        device: as it was asked for.
        engine: as it was asked for.
        threads: as they were asked for.

    Raises:
        InputError: the source, the preset or a card of its weights cannot be read.
    """
    options = find_preset(preset)
    shares = registry.read_shares() if len(options.models) > 1 else {}
    settings: dict[str, Any] = {
        "preset": preset,
        "background": str(background),
        "device": device,
        "engine": engine,
        "threads": share(threads).infer,
        "models": list(options.models),
        "areas": list(options.areas),
        "halved": list(registry.read_halved(options.models)),
        "smoothing": dataclasses.asdict(options.smoothing),
        "refine": dataclasses.asdict(options.refine),
    }
    if Path(background).is_file():
        settings["background_sha256"] = checksum(Path(background))
    return {
        "humanseg": humanseg.__version__,
        "versions": {"python": platform.python_version()} | {n: version_of(n) for n in PACKAGES},
        "source": {"name": source.name, "sha256": checksum(source)},
        "settings": settings,
        "weights": {name: registry.read_card(name).sha256 for name in options.models},
        "shares": {name: shares[name] for name in options.models if name in shares},
        "engine": ran_on,
    }


def version_of(package: str) -> str | None:
    """The installed version of a package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def checksum(path: Path) -> str:
    """SHA-256 in hex of a file's content; of a folder, of its pictures' checksums in their order.

    Raises:
        SourceError: it cannot be read.
    """
    if path.is_dir():
        sums = "".join(checksum(image) for image in list_images(path))
        return hashlib.sha256(sums.encode()).hexdigest()
    with reading(path), path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
