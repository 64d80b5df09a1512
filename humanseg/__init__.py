"""humanseg cuts people out of video.

The names below are imported when they are first used, so that `import humanseg` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from humanseg.errors import (
        HumansegError,
        InputError,
        Interrupted,
        MissingExtraError,
        OutputError,
        PartialError,
        SettingsError,
        SinkError,
        SourceError,
        SourceLost,
        WeightsError,
    )
    from humanseg.frames import Frame, Matte, StreamInfo
    from humanseg.jobs import matte, process_images, process_video
    from humanseg.pipeline import Progress, Summary
    from humanseg.segmenter import Segmenter

__version__ = "0.1.0"

_HOMES = {
    "Frame": "humanseg.frames",
    "HumansegError": "humanseg.errors",
    "InputError": "humanseg.errors",
    "Interrupted": "humanseg.errors",
    "Matte": "humanseg.frames",
    "MissingExtraError": "humanseg.errors",
    "OutputError": "humanseg.errors",
    "PartialError": "humanseg.errors",
    "Progress": "humanseg.pipeline",
    "Segmenter": "humanseg.segmenter",
    "SettingsError": "humanseg.errors",
    "SinkError": "humanseg.errors",
    "SourceError": "humanseg.errors",
    "SourceLost": "humanseg.errors",
    "StreamInfo": "humanseg.frames",
    "Summary": "humanseg.pipeline",
    "WeightsError": "humanseg.errors",
    "matte": "humanseg.jobs",
    "process_images": "humanseg.jobs",
    "process_video": "humanseg.jobs",
}

__all__ = [
    "Frame",
    "HumansegError",
    "InputError",
    "Interrupted",
    "Matte",
    "MissingExtraError",
    "OutputError",
    "PartialError",
    "Progress",
    "Segmenter",
    "SettingsError",
    "SinkError",
    "SourceError",
    "SourceLost",
    "StreamInfo",
    "Summary",
    "WeightsError",
    "__version__",
    "matte",
    "process_images",
    "process_video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'humanseg' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
