"""The examples in docstrings run and give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

import humanseg
import humanseg_cli
import humanseg_training

PACKAGES = (humanseg, humanseg_cli, humanseg_training)


def modules_with_examples():
    for package in PACKAGES:
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                yield ".".join(path.relative_to(folder.parent).with_suffix("").parts)


@pytest.mark.parametrize("name", sorted(modules_with_examples()))
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
