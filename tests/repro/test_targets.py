"""`--config key=value` on the command line."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.utils import update_config

from ndns.errors import UserError
from ndns.verify.targets import absolute, overrides
from ndns.workflow import overridden


def test_values_are_yaml_and_folders_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("study=s") == ("study", "s")
    assert absolute("mix={seed: 2}") == ("mix", {"seed": 2})
    assert absolute("corpus_root=a b") == ("corpus_root", str(tmp_path / "a b"))


@pytest.mark.parametrize("pair", ["study", "=s", "seeds=[1", "study=s: t: u", "study=@s"])
def test_what_is_no_pair_is_told_in_one_line(pair):
    with pytest.raises(UserError) as caught:
        absolute(pair)
    assert str(caught.value).startswith(f"--config {pair}: ")
    assert "\n" not in str(caught.value)


SETTINGS = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1))
SECTIONS = st.dictionaries(st.sampled_from("abc"), SETTINGS)


@given(SECTIONS, SECTIONS)
def test_keys_of_the_command_line_go_where_snakemake_puts_them(config, changes):
    expected, before = deepcopy(config), deepcopy((config, changes))
    update_config(expected, changes)
    assert overridden(config, changes) == expected
    assert (config, changes) == before


def test_several_pairs_of_one_section_go_together():
    assert overrides(["mix={seed: 2}", "study=s", "mix={seconds: 3}", "mix={seed: 4}"]) == {
        "mix": {"seed": 4, "seconds": 3},
        "study": "s",
    }
    assert overrides(None) == {}
