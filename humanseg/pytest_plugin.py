"""The pytest fixture `assert_masks_close`: a mask of yours against one kept in a file.

pytest finds this by the entry point that humanseg is installed with; it imports nothing heavy
before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]

OPTION = "--write-masks"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that keeps masks instead of comparing them."""
    parser.getgroup("humanseg").addoption(
        OPTION,
        action="store_true",
        help="keep the masks that assert_masks_close is given, instead of comparing them",
    )


@pytest.fixture
def assert_masks_close(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., None]:
    """`assert_masks_close(found, "golden/person.png")`: fail unless a mask is as it was.

    The file is a grey PNG, found from the folder of the test file; an array does as well. Limits
    are given as `min_iou` and `max_difference`, see `humanseg.testing.assert_masks_close`. With
    `pytest --write-masks` the files are written anew, and nothing is compared.
    """
    writes = bool(request.config.getoption(OPTION))
    folder = Path(str(request.path)).parent

    def check(found: Mask, expected: Mask | str | Path, **limits: float) -> None:
        from humanseg.testing import assert_masks_close as check_arrays

        if not isinstance(expected, str | Path):
            check_arrays(found, expected, **limits)
            return
        path = folder / expected
        if writes:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, found)
            return
        if not path.exists():
            pytest.fail(f"{path} is missing; write it with pytest {OPTION}", pytrace=False)
        try:
            check_arrays(found, _read(path), **limits)
        except AssertionError as difference:
            kept = tmp_path / f"found-{path.name}"
            _write(kept, found)
            raise AssertionError(f"{difference}: {kept} against {path}") from None

    return check


def _read(path: Path) -> Mask:
    from humanseg.sources.images import read_image

    return read_image(path)[..., 0]


def _write(path: Path, mask: Mask) -> None:
    import numpy as np

    from humanseg.sinks.images import write_image

    is_float = np.issubdtype(mask.dtype, np.floating)
    grey = np.rint(mask * 255).clip(0, 255).astype(np.uint8) if is_float else mask
    write_image(path, grey, overwrite=True)
