"""`--config key=value` on the command line."""

import pytest

from ndns.errors import UserError
from ndns.verify.targets import absolute


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
