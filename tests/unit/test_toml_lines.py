"""Lines of settings in a TOML text, and changing values without touching anything else."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanseg.config.toml_lines import UnusualLayoutError, find_line, set_values, to_toml

TEXT = '''\
# mirror = false
mirror = true # me
backgrounds = [
  "feather = 1", # = x

  "beach.jpg",
]
feather = 2
  "grow" = 1

[profiles.call] # the one for work
  background = "a#b"  # keep # two
strength = 0.5
# the end of call

[profiles."film night"]
note = """
mirror = 3
[x]
"""
mirror = false
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("mirror",), 2),
        (("backgrounds",), 3),
        (("feather",), 8),
        (("grow",), 9),
        (("profiles",), 11),
        (("profiles", "call"), 11),
        (("profiles", "call", "background"), 12),
        (("profiles", "film night", "mirror"), 21),
        (("profiles", "call", "mirror"), None),
        (("strength",), None),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_line_of_a_key(path, line, newline):
    assert find_line(TEXT.replace("\n", newline), path) == line


@pytest.mark.parametrize(
    "text",
    [
        "profiles.call.mirror = true",
        "[profiles]\ncall.mirror = true",
        "[profiles]\ncall = { mirror = true }",
        "profiles = { call = { mirror = true, grow = 1 } }",
        "[profiles]\n[profiles.call]\nmirror = true",
    ],
)
def test_the_line_of_a_key_that_is_written_in_another_way(text):
    assert find_line(text, ("profiles", "call", "mirror")) == len(text.splitlines())


def test_values_are_changed_and_all_else_stays():
    changed = set_values(
        TEXT,
        ("profiles", "call"),
        {"background": "blur", "strength": 0.8, "mirror": True, "grow": None},
    )
    assert changed == TEXT.replace('"a#b"', '"blur"').replace(
        "strength = 0.5\n", "strength = 0.8\nmirror = true\n"
    )


def test_a_key_is_taken_away_with_its_comment_and_nothing_else():
    assert set_values(TEXT, ("profiles", "call"), {"background": None}) == TEXT.replace(
        '  background = "a#b"  # keep # two\n', ""
    )


def test_a_table_is_added_at_the_end():
    for text in (TEXT, TEXT.rstrip("\n"), TEXT + "\n\n"):
        changed = set_values(text, ("profiles", "new one"), {"mirror": True, "overlay": None})
        assert changed == TEXT + '\n[profiles."new one"]\nmirror = true\n'
    assert set_values("", ("profiles", "a"), {"grow": -1.0}) == "[profiles.a]\ngrow = -1\n"


def test_the_ends_of_lines_stay_as_they_are():
    text = "mirror = true\r\n\r\n[profiles.call]\r\ngrow = 1\r\n"
    assert set_values(text, ("profiles", "call"), {"grow": 2.5}) == text.replace("= 1", "= 2.5")


def test_a_list_over_several_lines_is_replaced_as_a_whole():
    text = '[profiles.a]\nbackgrounds = [ # mine\n  "x",\n] # end\nmirror = true\n'
    changed = set_values(text, ("profiles", "a"), {"backgrounds": ("blur", "green")})
    assert changed == '[profiles.a]\nbackgrounds = ["blur", "green"] # end\nmirror = true\n'


@pytest.mark.parametrize(
    "text",
    [
        "profiles.call.mirror = true",
        "[profiles]\ncall = { mirror = true }",
        "profiles = { call = { mirror = true } }",
        "[[profiles.call]]\nmirror = true",
        "profiles = 3",
    ],
)
def test_a_table_that_is_no_table_of_its_own_is_refused(text):
    with pytest.raises(UnusualLayoutError):
        set_values(text, ("profiles", "call"), {"mirror": False})


@pytest.mark.parametrize("value", [None, {1}, "\udce9"])
def test_what_toml_does_not_have_is_refused(value):
    with pytest.raises(ValueError, match=r"TOML|surrogates"):
        to_toml(value)


texts = st.text(st.characters(codec="utf-8"))
values = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(-1e9, 1e9),
    texts,
    st.lists(texts, max_size=3),
)


@given(values)
def test_what_is_written_is_read_again(value):
    assert tomllib.loads(f"value = {to_toml(value)}")["value"] == value


names = st.one_of(st.sampled_from(["a", "b"]), texts)
tables = st.dictionaries(names, values, max_size=4)


@given(tables, st.dictionaries(names, tables, max_size=3), names, tables)
def test_only_what_is_asked_for_changes(top, others, name, changes):
    text = ""
    top.pop("profiles", None)
    for key, value in top.items():
        text += f"{to_toml(key)} = {to_toml(value)} # {len(text)}\n"
    for other, content in others.items():
        text = set_values(text, ("profiles", other), content)
    changed = set_values(text, ("profiles", name), changes)
    expected = tomllib.loads(text)
    expected.setdefault("profiles", {}).setdefault(name, {}).update(changes)
    assert tomllib.loads(changed) == expected
    for number, line in enumerate(line for line in text.split("\n")[: len(top)]):
        assert changed.split("\n")[number] == line
