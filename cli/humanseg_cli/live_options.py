"""The options of `humanseg live`; what is not given is taken from the config file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Option

from humanseg_cli.options import EFFECT, SHOWN, SPEED

CAMERAS = "Cameras"


def _given(name: str, panel: str, metavar: str, help_text: str, **more: Any) -> Any:
    """An option whose absence means something, and whose help is one line of a screen."""
    return Option(
        name, metavar=metavar, help=help_text, rich_help_panel=panel, show_default=False, **more
    )


def _hidden(name: str, **more: Any) -> Any:
    """An option for those who read the documents."""
    return Option(name, hidden=True, show_default=False, **more)


Camera = Annotated[
    str | None, _given("--camera", CAMERAS, "WHICH", "Number, path, name, address or video file.")
]
Size = Annotated[str | None, _given("--size", CAMERAS, "WxH", "Of the camera, as 1280x720.")]
Fps = Annotated[float | None, _given("--fps", CAMERAS, "N", "Frames a second.")]
Format = Annotated[
    Literal["auto", "mjpg", "yuyv"] | None,
    _given("--format", CAMERAS, "NAME", "Of the camera's pictures: auto, mjpg or yuyv."),
]
VirtualCamera = Annotated[
    str | None,
    _given("--virtual-camera", CAMERAS, "WHICH", "The device; none for only looking."),
]
VirtualFormat = Annotated[str | None, _hidden("--virtual-format")]
NoVirtualCamera = Annotated[bool, _hidden("--no-virtual-camera")]
AlwaysOn = Annotated[
    bool | None, _given("--always-on", CAMERAS, "", "Keep the camera on when nobody looks.")
]
OnDemand = Annotated[bool, _hidden("--on-demand")]
Preview = Annotated[bool | None, _given("--preview", CAMERAS, "", "Show a window.")]
NoPreview = Annotated[bool, _hidden("--no-preview")]
Ui = Annotated[bool, _given("--ui", CAMERAS, "", "Settings and preview in your browser.")]
Port = Annotated[int, _hidden("--port", min=0, max=65535)]
NoOpen = Annotated[bool, _hidden("--no-open")]
Record = Annotated[Path | None, _given("--record", CAMERAS, "FILE", "Write a video, too.")]

Strength = Annotated[float | None, _hidden("--blur-strength")]
Mirror = Annotated[bool | None, _given("--mirror", EFFECT, "", "Show people as a mirror does.")]
NoMirror = Annotated[bool, _hidden("--no-mirror")]
Keep = Annotated[
    Literal["all", "largest", "centre"] | None,
    _given("--keep", EFFECT, "WHO", "Of people: all, largest or centre."),
]
Threshold = Annotated[
    float | None, _given("--threshold", EFFECT, "SHARE", "0.5 by default; lower shows more.")
]
Feather = Annotated[float | None, _given("--feather", EFFECT, "PIXELS", "Soften people's edges.")]
Grow = Annotated[
    float | None, _given("--grow", EFFECT, "PIXELS", "Widen people; negative narrows.")
]
Overlay = Annotated[
    str | None, _given("--overlay", EFFECT, "FILE", "A picture with transparency on top.")
]
AutoFrame = Annotated[
    bool | None, _given("--auto-frame", EFFECT, "", "Follow people with the crop.")
]
NoAutoFrame = Annotated[bool, _hidden("--no-auto-frame")]

Preset = Annotated[
    Literal["fast", "balanced", "best"] | None,
    _given("--preset", SPEED, "NAME", "Networks: fast, balanced or best."),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None,
    _given("--device", SPEED, "NAME", "Where they run: auto, cpu, cuda or mps."),
]
Engine = Annotated[Literal["auto", "torch", "openvino", "int8"] | None, _hidden("--engine")]
Threads = Annotated[int | None, _hidden("--threads", min=1)]
MaxCpu = Annotated[
    float | None,
    _given("--max-cpu", SPEED, "PERCENT", "Of one core; does less when above.", min=1.0),
]
NoGate = Annotated[bool, _hidden("--no-gate")]
Gate = Annotated[bool | None, _hidden("--gate")]
Profile = Annotated[str | None, _given("--profile", SPEED, "NAME", "Of the config file.")]
Config = Annotated[Path | None, _hidden("--config")]

LineJson = Annotated[
    bool,
    Option(
        "--json", metavar="", help="The status as JSON, a line a second.", rich_help_panel=SHOWN
    ),
]
Frames = Annotated[int | None, _hidden("--frames", min=1)]
Seconds = Annotated[float | None, _hidden("--seconds", min=0.0)]
