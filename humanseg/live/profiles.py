"""The config file beside a running session: read again, a profile taken, a look saved."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from humanseg.config.file import read_config
from humanseg.config.writing import check_profile_name, save_profile
from humanseg.control.controls import Controls
from humanseg.errors import SettingsError
from humanseg.live.settings import NO_OVERLAY, LiveSettings, of_look
from humanseg.look.looks import Look

Resolve = Callable[[str | None], LiveSettings]
"""The settings of a profile, None for none."""

NO_PROFILE = "none"
"""What is said to leave a profile; no profile can have this name."""

FIXED = (
    "camera",
    "size",
    "fps",
    "format",
    "virtual_camera",
    "virtual_format",
    "engine",
    "device",
    "threads",
    "max_cpu",
    "gate",
    "always_on",
    "preview",
)
"""Settings that hold from the next start on."""


class LiveProfiles:
    """Carries out "reload", "profile NAME" and "save NAME".

    A profile that is taken while it runs was asked for last, so that its look and its preset go
    over the command line's, too. What has been switched by hand, as freeze and the mask view,
    stays as it is.
    """

    def __init__(
        self,
        controls: Controls,
        resolve: Resolve,
        settings: LiveSettings,
        profile: str | None = None,
        *,
        path: Path | None = None,
    ) -> None:
        """Connect controls with a config file; sets their hooks.

        Args:
            controls: `on_reload`, `on_profile`, `on_save` and `on_profiles` are set.
            resolve: reads the settings; raises SettingsError.
            settings: that the session runs with.
            profile: that they were read with.
            path: of the config file; None for the user's own.
        """
        self._controls = controls
        self._resolve = resolve
        self._running = settings
        self._preset = settings.preset
        self._profile = profile
        self._is_chosen_here = False
        self._path = path
        self._names = self._read_names()
        # Several programs may command at once, and a file is read and written in several steps.
        self._lock = threading.Lock()
        controls.on_reload = self._reload
        controls.on_profile = self._take
        controls.on_save = self._save
        controls.on_profiles = self._tell

    def _read_names(self) -> tuple[str, ...]:
        return tuple(read_config(self._path).profiles)

    def _tell(self) -> dict[str, object]:
        return {"profile": self._profile, "profiles": list(self._names)}

    def _reload(self) -> str:
        with self._lock:
            fresh = self._read(self._profile, is_chosen_here=self._is_chosen_here)
            self._show(fresh, lambda now: now.effect_on)
            return f"the config file was read again{self._left_over(fresh)}"

    def _take(self, name: str) -> str:
        profile = None if name == NO_PROFILE else name
        with self._lock:
            fresh = self._read(profile, is_chosen_here=profile is not None)
            self._show(fresh, lambda now: True)
            self._profile, self._is_chosen_here = profile, profile is not None
            told = "no profile is taken" if profile is None else f"profile {profile} is taken"
            return f"{told}{self._left_over(fresh)}"

    def _read(self, profile: str | None, *, is_chosen_here: bool) -> LiveSettings:
        fresh = self._resolve(profile)
        names = self._read_names()
        if profile is not None and is_chosen_here:
            own = read_config(self._path).profiles[profile]
            changing = {key: each.value for key, each in own.items() if key not in FIXED}
            values: dict[str, Any] = changing
            fresh = dataclasses.replace(fresh, **values)
        self._names = names
        return fresh

    def _show(self, fresh: LiveSettings, effect_on: Callable[[Look], bool]) -> None:
        def still_going(now: Look) -> Look:
            return dataclasses.replace(
                fresh.look(),
                effect_on=effect_on(now),
                frozen=now.frozen,
                view=now.view,
                statistics=now.statistics,
            )

        self._controls.update(still_going)
        if fresh.preset != self._preset and self._controls.on_preset is not None:
            self._controls.on_preset(fresh.preset)
        self._preset = fresh.preset

    def _left_over(self, fresh: LiveSettings) -> str:
        """What has changed and does not hold yet."""
        changed = [key for key in FIXED if getattr(fresh, key) != getattr(self._running, key)]
        if not changed:
            return ""
        return f"; {', '.join(changed)}: from the next start on"

    def _save(self, name: str) -> str:
        check_profile_name(name)
        if name == NO_PROFILE:
            raise SettingsError(f"a profile cannot be called '{NO_PROFILE}'")
        with self._lock:
            settings = of_look(self._controls.look)
            if settings["overlay"] is None and "overlay" in read_config(self._path).settings:
                settings["overlay"] = NO_OVERLAY
            path = save_profile(name, settings, self._path)
            self._names = self._read_names()
        return f"the look was saved as profile {name} in {path}"
