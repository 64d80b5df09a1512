"""`humanseg live`."""

from __future__ import annotations

from humanseg_cli import keys
from humanseg_cli import live_options as of
from humanseg_cli.live_panel import Display
from humanseg_cli.live_signals import LiveSignals
from humanseg_cli.options import Background, Blur, Debug, Quiet, choose_background
from humanseg_cli.ui import live_page, page_sink

NO_DEVICE = "none"


def live(
    camera: of.Camera = None,
    size: of.Size = None,
    fps: of.Fps = None,
    format: of.Format = None,
    virtual_camera: of.VirtualCamera = None,
    virtual_format: of.VirtualFormat = None,
    no_virtual_camera: of.NoVirtualCamera = False,
    always_on: of.AlwaysOn = None,
    on_demand: of.OnDemand = False,
    preview: of.Preview = None,
    no_preview: of.NoPreview = False,
    ui: of.Ui = False,
    port: of.Port = 0,
    no_open: of.NoOpen = False,
    record: of.Record = None,
    blur: Blur = None,
    background: Background = None,
    strength: of.Strength = None,
    mirror: of.Mirror = None,
    no_mirror: of.NoMirror = False,
    keep: of.Keep = None,
    threshold: of.Threshold = None,
    feather: of.Feather = None,
    grow: of.Grow = None,
    overlay: of.Overlay = None,
    auto_frame: of.AutoFrame = None,
    no_auto_frame: of.NoAutoFrame = False,
    preset: of.Preset = None,
    device: of.Device = None,
    engine: of.Engine = None,
    threads: of.Threads = None,
    max_cpu: of.MaxCpu = None,
    no_gate: of.NoGate = False,
    gate: of.Gate = None,
    profile: of.Profile = None,
    config: of.Config = None,
    as_json: of.LineJson = False,
    frames: of.Frames = None,
    seconds: of.Seconds = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Blur or replace what is behind you in a video call.

    [bold]humanseg live --blur-background --preview[/bold]
    """
    has_camera = not no_virtual_camera and virtual_camera != NO_DEVICE
    chosen = blur is not None or background is not None
    asked = {
        "camera": camera,
        "size": size,
        "fps": fps,
        "format": format,
        "virtual_camera": virtual_camera if has_camera else None,
        "virtual_format": virtual_format,
        "always_on": False if on_demand else always_on,
        "preview": False if no_preview else preview,
        "background": choose_background(blur, background) if chosen else None,
        "strength": strength,
        "mirror": False if no_mirror else mirror,
        "keep": keep,
        "threshold": threshold,
        "feather": feather,
        "grow": grow,
        "overlay": overlay,
        "auto_frame": False if no_auto_frame else auto_frame,
        "preset": preset,
        "device": device,
        "engine": engine,
        "threads": threads,
        "gate": False if no_gate else gate,
        "max_cpu": None if max_cpu is None else max_cpu / 100,
    }
    # Before the slow imports: a signal that comes meanwhile must not end the process.
    with LiveSignals() as signals:
        from humanseg.config.file import resolve
        from humanseg.live.setup import open_session

        page = page_sink() if ui else None
        with (
            open_session(
                lambda name: resolve(asked, name, path=config),
                profile,
                has_virtual_camera=has_camera,
                record=record,
                config=config,
                page=page,
            ) as (session, controls),
            live_page(controls, page, config=config, port=port, opens=not no_open),
            Display(as_json=as_json, quiet=quiet) as display,
            keys.TerminalKeys() as terminal,
        ):

            def obey(lines: list[str]) -> None:
                for line in lines:
                    reply = controls.apply(line)
                    display.tell(reply.text, is_wrong=not reply.ok)

            def tick() -> None:
                obey([*signals.commands(), *keys.commands(terminal.read())])
                if terminal.is_gone:
                    session.stop()
                if display.is_due():
                    display.show(session.status())

            session.run(
                tick,
                on_key=lambda key: obey(keys.of_preview(key)),
                hint=keys.SHOWN_KEYS,
                frames=frames,
                seconds=seconds,
            )
