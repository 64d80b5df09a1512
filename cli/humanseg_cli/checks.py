"""What `humanseg doctor` looks at. Heavy packages are imported by the check that needs them."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import humanseg

State = Literal["ok", "note", "warning", "problem"]

OPENCV_WHEELS = (
    "opencv-python",
    "opencv-contrib-python",
    "opencv-python-headless",
    "opencv-contrib-python-headless",
)
OPENCV_REPAIR = "pip uninstall -y {others} && pip install --force-reinstall --no-deps opencv-python"
NEEDED = ("torch", "av", "numpy", "safetensors", "typer", "rich", "platformdirs")
OPTIONAL: Mapping[str, str] = {
    "openvino": "faster on Intel and AMD: pip install 'humanseg[openvino]'",
    "pyvirtualcam": "for a virtual camera: pip install 'humanseg[live]'",
    "albumentations": (
        "for training: pip install 'humanseg[training]' && "
        "pip install --no-deps albumentations==2.0.8 albucore==0.0.24"
    ),
}
ENCODERS: Mapping[str, State] = {
    # What is missing matters only for the encoder of the default codec.
    "libx264": "problem",
    "aac": "warning",
    "libx265": "note",
    "libvpx-vp9": "note",
    "libsvtav1": "note",
    "prores_ks": "note",
    "ffv1": "note",
}
PROCESSOR_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "bf16")
SELF_TEST_SIZE = (144, 192)
SELF_TEST_RUNS = 5
REINSTALL = "pip install --force-reinstall humanseg"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        name: what was looked at.
        state: "ok", "note" (an option that is not there), "warning", or "problem".
        detail: what was found.
        hint: the next step, or None.
    """

    name: str
    state: State
    detail: str
    hint: str | None = None


def check_system() -> list[Check]:
    """Versions of humanseg and Python, and what the processor can do."""
    flags = _processor_flags()
    wanted = [flag for flag in PROCESSOR_FLAGS if flag in flags]
    fast = any("bf16" in flag for flag in wanted)
    return [
        Check("humanseg", "ok", f"{humanseg.__version__} in {Path(humanseg.__file__).parent}"),
        Check("Python", "ok", f"{platform.python_version()} on {platform.platform()}"),
        Check("processor", "ok", f"{_cores()} cores; {', '.join(wanted) or 'flags unknown'}"),
        Check("bfloat16", "ok" if fast else "note", "native" if fast else "not known to be native"),
    ]


def check_packages() -> list[Check]:
    """Versions of the packages that humanseg stands on, and of the optional ones."""
    checks = []
    for name in NEEDED:
        version = _version(name)
        if version is None:
            checks.append(Check(name, "problem", "not installed", f"pip install {name}"))
        else:
            checks.append(Check(name, "ok", version))
    for name, hint in OPTIONAL.items():
        version = _version(name)
        if version is None:
            checks.append(Check(name, "note", "not installed", hint))
        else:
            checks.append(Check(name, "ok", version))
    return checks


def check_opencv() -> list[Check]:
    """Which OpenCV is installed, whether two fight over one folder, and whether it has windows."""
    installed = {name: version for name in OPENCV_WHEELS if (version := _version(name))}
    versions = ", ".join(f"{name} {version}" for name, version in installed.items())
    others = " ".join(name for name in installed if name != "opencv-python")
    repair = OPENCV_REPAIR.format(others=others)
    if not installed:
        wheel = Check("opencv", "problem", "not installed", "pip install opencv-python")
    elif len(installed) > 1:
        detail = f"{versions}: they overwrite each other in one folder, cv2"
        wheel = Check("opencv", "problem", detail, repair)
    else:
        wheel = Check("opencv", "ok", versions)
    try:
        import cv2
    except ImportError as error:
        return [wheel, Check("cv2", "problem", f"cannot be imported: {error}", repair)]
    windows = find_window_system(cv2.getBuildInformation())
    if windows is None:
        seen = Check("preview windows", "warning", "this OpenCV has none", repair)
    else:
        seen = Check("preview windows", "ok", windows)
    return [wheel, seen]


def find_window_system(build_information: str) -> str | None:
    """What OpenCV draws windows with, from its build information; None when it cannot."""
    for line in build_information.splitlines():
        name, colon, value = line.strip().partition(":")
        if colon and name == "GUI":
            return None if value.strip() in ("", "NONE") else value.strip()
    return None


def check_video() -> list[Check]:
    """FFmpeg's libraries inside PyAV, and its encoders."""
    try:
        import av
        import av.codec
    except ImportError as error:
        return [Check("FFmpeg", "problem", f"PyAV cannot be imported: {error}", "pip install av")]
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, numbers))}"
        for name, numbers in av.library_versions.items()
        if name in ("libavcodec", "libavformat")
    )
    checks = [Check("FFmpeg", "ok", libraries)]
    for name, state_if_missing in ENCODERS.items():
        try:
            av.codec.Codec(name, "w")
        except ValueError:
            hint = None if state_if_missing == "note" else "pip install --force-reinstall av"
            checks.append(Check(name, state_if_missing, "no such encoder", hint))
        else:
            checks.append(Check(name, "ok", "can encode"))
    return checks


def check_weights() -> list[Check]:
    """Whether the weights of all presets are there, and as they were when they were released."""
    from humanseg.errors import WeightsError
    from humanseg.models.registry import WEIGHTS_FOLDER, read_card
    from humanseg.settings import PRESETS

    users: dict[str, list[str]] = {}
    for preset, options in PRESETS.items():
        for name in options.models:
            users.setdefault(name, []).append(preset)
    checks = []
    for name, presets in users.items():
        try:
            card = read_card(name)
            content = (WEIGHTS_FOLDER / f"{name}.safetensors").read_bytes()
        except (WeightsError, OSError) as error:
            detail = f"missing, and {', '.join(presets)} cannot run: {error}"
            checks.append(Check(name, "problem", detail, REINSTALL))
            continue
        if hashlib.sha256(content).hexdigest() == card.sha256:
            detail = f"{card.network}, {len(content) / 1e6:.1f} MB, checksum right"
            checks.append(Check(name, "ok", detail))
        else:
            checks.append(Check(name, "problem", "damaged: the checksum is wrong", REINSTALL))
    return checks


def check_devices() -> list[Check]:
    """Which devices torch can use."""
    try:
        import torch
    except ImportError as error:
        return [Check("torch", "problem", f"cannot be imported: {error}", "pip install torch")]
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    return [
        Check("cuda", "ok", torch.cuda.get_device_name()) if cuda else Check("cuda", "note", "no"),
        Check("mps", "ok", "yes") if mps else Check("mps", "note", "no"),
    ]


def check_engines() -> list[Check]:
    """How long each engine takes for a picture with the smallest preset."""
    return [_check_engine(name) for name in ("torch", "openvino", "int8")]


def _check_engine(name: str) -> Check:
    from humanseg.errors import HumansegError, MissingExtraError

    try:
        found, seconds = time_engine(name)
    except MissingExtraError as error:
        return Check(name, "note", error.what, error.hint)
    except HumansegError as error:
        return Check(name, "problem", str(error), error.hint)
    except Exception as error:  # whatever a broken installation raises is the finding
        return Check(name, "problem", f"fails: {type(error).__name__}: {error}")
    return Check(name, "ok", f"{found}: {1000 * seconds:.1f} ms a picture on one core")


def time_engine(name: str) -> tuple[str, float]:
    """Run the smallest preset on one engine and one core.

    Returns:
        What ran where, and the median of seconds for one picture.
    """
    import numpy as np

    from humanseg.engines.choose import open_engine
    from humanseg.settings import find_preset

    picture = np.zeros((1, *SELF_TEST_SIZE, 3), np.uint8)
    models = find_preset("fast").models
    # One thread: several wait for each other whenever another program is busy, each in its own way.
    with open_engine(models, engine=name, device="cpu", threads=1) as engine:
        engine.infer(picture)
        seconds = []
        for _ in range(SELF_TEST_RUNS):
            began = time.perf_counter()
            engine.infer(picture)
            seconds.append(time.perf_counter() - began)
        return engine.name, sorted(seconds)[len(seconds) // 2]


def check_folders() -> list[Check]:
    """Where settings and logs are, or would be."""
    from platformdirs import user_config_path, user_log_path

    places = {
        "settings": user_config_path("humanseg", appauthor=False),
        "logs": user_log_path("humanseg", appauthor=False),
    }
    return [_check_folder(name, path) for name, path in places.items()]


def _check_folder(name: str, path: Path) -> Check:
    if not path.exists():
        return Check(name, "note", f"{path}, not made yet")
    if not path.is_dir() or not os.access(path, os.W_OK):
        return Check(name, "warning", f"{path} cannot be written to")
    return Check(name, "ok", str(path))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    from humanseg.threads import available_cores

    return available_cores()


def _processor_flags() -> set[str]:
    """Flags that Linux lists for the processor; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())


GROUPS: Mapping[str, Callable[[], list[Check]]] = {
    "System": check_system,
    "Packages": check_packages,
    "OpenCV": check_opencv,
    "Video": check_video,
    "Devices": check_devices,
    "Weights": check_weights,
    "Engines": check_engines,
    "Folders": check_folders,
}
