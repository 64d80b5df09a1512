"""The controls of a running session: one look, swapped whole by commands from anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock

from humanseg.control.commands import Change, Command, describe_effect, parse
from humanseg.errors import HumansegError, SettingsError
from humanseg.look.looks import Look

Told = Callable[[], str | None]
ToldOf = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a command.

    Attributes:
        ok: it was carried out.
        text: what is now true, or what is wrong and which choices there are.
        data: "look" with all fields of the look; for "status" what the session tells, too; None
            for a command that was not carried out.
    """

    ok: bool
    text: str
    data: Mapping[str, object] | None = None


class Controls:
    """Holds the look; threads may read and command it at any time.

    Attributes:
        on_quit: ends the session; must return at once.
        on_status: tells the session's figures, as JSON takes them.
        on_reload: reads the config file again.
        on_preset: changes the networks to those of a preset.
        on_profile: takes a profile of the config file; "none" leaves it.
        on_save: writes the look of now into a profile of the config file.
        on_profiles: tells "profile", the one that holds or None, and "profiles", all names.
        on_camera: changes to another camera, as `live.settings.read_camera` takes it; raises when
            it cannot be opened, and the camera stays.
        on_virtual_camera: changes to another virtual camera, by device or name; "none" leaves it.
        on_change: opens what a new look needs before it is shown; raises HumansegError when that
            cannot be opened, and the look stays as it is.

    The hooks run on the commanding thread, without a lock, and may be set at any time; a command
    whose hook is None is answered with a refusal. Those that return a text choose the reply; each
    may raise a HumansegError, which becomes the reply.
    """

    def __init__(
        self,
        look: Look | None = None,
        *,
        on_quit: Callable[[], None] | None = None,
        on_status: Callable[[], Mapping[str, object]] | None = None,
        on_reload: Told | None = None,
        on_preset: ToldOf | None = None,
        on_profile: ToldOf | None = None,
        on_save: ToldOf | None = None,
        on_profiles: Callable[[], Mapping[str, object]] | None = None,
        on_camera: ToldOf | None = None,
        on_virtual_camera: ToldOf | None = None,
        on_change: Callable[[Look], None] | None = None,
    ) -> None:
        self._look = look or Look()
        self._lock = Lock()
        self.on_quit = on_quit
        self.on_status = on_status
        self.on_reload = on_reload
        self.on_preset = on_preset
        self.on_profile = on_profile
        self.on_save = on_save
        self.on_profiles = on_profiles
        self.on_camera = on_camera
        self.on_virtual_camera = on_virtual_camera
        self.on_change = on_change

    @property
    def look(self) -> Look:
        """The look that holds now."""
        return self._look

    def replace(self, look: Look) -> None:
        """Swap the whole look.

        Raises:
            HumansegError: its background or overlay cannot be opened; the look stays as it was.
        """
        self.update(lambda _: look)

    def update(self, change: Callable[[Look], Look]) -> Look:
        """Change the look, whatever others do meanwhile.

        Args:
            change: what a look becomes; may be called again when another came first.

        Returns:
            The look that holds now.

        Raises:
            HumansegError: its background or overlay cannot be opened; the look stays as it was.
        """
        return self._swap(lambda before: (change(before),))

    def apply(self, line: str) -> Reply:
        """Carry out a command; a wrong one changes nothing and is answered.

        Args:
            line: any text; see `humanseg.control.commands.describe_commands`.
        """
        try:
            command, words = parse(line)
            if command.change is None:
                text, data = self._ask_session(command, words)
            else:
                text, data = self._change(command.change, command.tell, words), {}
        except HumansegError as error:
            return Reply(False, str(error))
        except Exception as fault:  # a hook's mistake must not end whoever passes commands on
            return Reply(False, f"humanseg has a fault: {type(fault).__name__}: {fault}")
        return Reply(True, text, {"look": asdict(self._look), **data})

    def _change(self, change: Change, tell: Callable[[Look], str], words: str) -> str:
        return tell(self._swap(lambda before: change(before, words)))

    def _swap(self, change: Callable[[Look], tuple[Look, ...]]) -> Look:
        """Take the first look that opens; another's change in between is built upon."""
        while True:
            before = self._look
            after = self._first_that_opens(before, change(before))
            with self._lock:
                if self._look is before:
                    self._look = after
                    return after

    def _first_that_opens(self, before: Look, candidates: tuple[Look, ...]) -> Look:
        first: HumansegError | None = None
        for after in candidates:
            try:
                self._open(before, after)
            except HumansegError as error:
                first = first or error
            else:
                return after
        raise first or SettingsError("there is nothing to choose from")

    def _open(self, before: Look, after: Look) -> None:
        shows_new = (after.background, after.overlay) != (before.background, before.overlay)
        if self.on_change is not None and shows_new:
            self.on_change(after)

    def _ask_session(self, command: Command, words: str) -> tuple[str, Mapping[str, object]]:
        if command.words and not words:
            raise SettingsError(
                f"'{command.name}' needs a word", hint=f"choose {command.words.replace('|', ', ')}"
            )
        if command.name == "status":
            told = [hook() for hook in (self.on_profiles, self.on_status) if hook is not None]
            data = {name: value for each in told for name, value in each.items()}
            return f"humanseg live is running; {describe_effect(self._look)}", data
        if command.name == "preset":
            from humanseg.settings import find_preset

            find_preset(words)
            return self._call(self.on_preset, f"preset is {words}", words), {}
        if command.name in ("profile", "save", "camera", "virtual-camera"):
            hook = getattr(self, f"on_{command.name.replace('-', '_')}")
            return self._call(hook, f"{command.name} is {words}", words), {}
        if command.name == "reload":
            return self._call(self.on_reload, "the config file was read again"), {}
        return self._call(self.on_quit, "humanseg live ends"), {}

    def _call(self, hook: Callable[..., str | None] | None, usual: str, *words: str) -> str:
        if hook is None:
            raise SettingsError("this cannot be changed while it runs")
        return hook(*words) or usual
