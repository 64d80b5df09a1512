"""What `humanseg --version` prints, without loading any engine."""

from __future__ import annotations

import humanseg


def version_lines() -> list[str]:
    """The version, and which engine runs the networks on which device.

    Only files are looked at: to know whether a graphics card works, torch would have to be
    imported, which takes a second or two. `humanseg doctor` does so.
    """
    import platform
    from importlib import metadata

    from humanseg.engines.choose import has_openvino, may_have_gpu

    def named(package: str) -> str:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return f"{package} (not installed)"

    on_processor = f"{named('openvino' if has_openvino() else 'torch')} on cpu"
    engine = on_processor
    if may_have_gpu():
        engine = f"{named('torch')} on a GPU if it can use one, else {on_processor}"
    return [
        f"humanseg {humanseg.__version__}",
        f"engine: {engine}",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
    ]
