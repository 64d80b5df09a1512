"""Rules of the house that no single module can keep."""

import ast
import subprocess
import sys
from pathlib import Path

import humanseg

PACKAGE = Path(humanseg.__file__).parent

LAYERS = [
    {
        "errors",
        "sizes",
        "threads",
        "channel",
        "clock",
        "closing",
        "stopwatch",
        "usage",
        "lease",
        "device_access",
        "v4l2",
        "sinks.pace",
        "config.toml_lines",
    },
    {
        "frames",
        "rle",
        "look.looks",
        "look.file_cache",
        "control.endpoint",
        "crew",
        "live.effort",
        "live.status",
    },
    {
        "protocols",
        "pixels",
        "metrics",
        "control.commands",
        "media.av_gate",
        "media.color",
        "media.opencv_log",
        "light",
    },
    {
        "devices",
        "sources.camera_format",
        "sources.camera_pictures",
        "sinks.camera_pixels",
        "sinks.cards",
        "sinks.display",
        "sinks.tee",
        "sinks.watched",
    },
    {
        "live.demand",
        "sources.camera_faults",
        "sinks.camera_faults",
        "sinks.preview",
        "guided_filter",
        "foreground",
        "media.planar",
        "models.blocks",
        "models.efficientnet_lite",
        "testing",
    },
    {
        "sinks.loopback",
        "refine",
        "blending",
        "planar_edge",
        "look.people",
        "look.framing",
        "motion",
        "models.unet",
        "models.hrnet",
        "models.linknet",
        "models.ensemble",
    },
    {"parts", "gate"},
    {"temporal"},
    {
        "settings",
        "planar_composite",
        "models.sdunet",
        "models.quantized",
        "sources.images",
        "sources.camera",
        "sources.newest",
        "sources.stream",
        "sinks.target",
        "sinks.camera_device",
    },
    {
        "models.registry",
        "sinks.images",
        "sinks.virtual_camera",
        "look.overlays",
        "sources.playback",
        "models.efficient_decoders",
    },
    {"engines.torch_engine", "engines.openvino_graphs"},
    {"engines.openvino_engine"},
    {
        "engines.self_test",
        "sources.animated_images",
        "sources.video_file",
        "sources.reopened",
        "sinks.encoders",
    },
    {
        "pytest_plugin",
        "sources.live",
        "live.outputs",
        "live.rest",
        "engines.choose",
        "backgrounds",
        "sinks.image_sequence",
        "control.controls",
        "sinks.copied_streams",
    },
    {"segmenter", "composite", "control.server", "live.settings", "sinks.video_file"},
    {"pipeline", "look.dressing", "config.file", "live.masks", "provenance"},
    {"config.writing", "jobs", "live.session", "snapshots"},
    {"live.profiles"},
    {"live.devices", "comparison"},
    {"live.setup"},
    {"web.file_kinds", "web.names", "web.access", "web.uploads", "web.scratch", "web.broadcast"},
    {"web.gallery", "web.file_jobs", "web.live_side"},
    {"web.page", "web.visitor"},
    {"web.file_routes"},
    {"web.app"},
    {"web.server"},
]
"""Modules from the bottom to the top; each may import from below itself only."""


def module_names():
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if not name.endswith("__init__"):
            yield name, path


def imported(path):
    """Modules of this project that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name


def test_every_module_has_its_layer():
    placed = set().union(*LAYERS)
    missing = {name for name, _ in module_names()} - placed
    assert missing == set()


def test_modules_import_only_from_below():
    height = {name: level for level, names in enumerate(LAYERS) for name in names}
    wrong = []
    for name, path in module_names():
        for target in imported(path):
            below = target.removeprefix("humanseg.")
            is_ours = target.startswith("humanseg.") and below in height and below != name
            if is_ours and height[below] >= height[name]:
                wrong.append(f"{name} imports {below}")
    assert wrong == []


def test_the_library_knows_neither_command_line_nor_training():
    foreign = [
        f"{name} imports {target}"
        for name, path in module_names()
        for target in imported(path)
        if target.split(".")[0] in ("humanseg_cli", "humanseg_training", "typer", "rich")
    ]
    assert foreign == []


def test_importing_humanseg_costs_nothing():
    code = "import humanseg, sys; print(sorted({'torch','cv2','av','numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_front_door_leads_to_every_name_it_promises():
    for name in humanseg.__all__:
        assert getattr(humanseg, name) is not None
    assert set(humanseg.__all__) == {*humanseg._HOMES, "__version__"}
    assert dir(humanseg) == humanseg.__all__


def test_there_is_no_drawer_module():
    drawers = {"utils", "helpers", "common", "core", "base", "misc"}
    names = {path.stem for path in PACKAGE.parent.rglob("*.py") if ".venv" not in path.parts}
    assert names & drawers == set()
