"""The examples in docstrings give what they say (those of `ndns.use.model` need a model: use/test_model.py)."""

import doctest
import importlib
from pathlib import Path

import pytest

import ndns

SOURCE = Path(ndns.__file__).parent


def modules():
    """Names of the modules with examples."""
    paths = sorted(path for path in SOURCE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in paths]
    return [name for name in names if name != "ndns.use.model"]


@pytest.mark.parametrize("name", modules())
def test_examples(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0
