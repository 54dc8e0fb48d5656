"""The fingerprint follows imports: it must change with what a stage uses, and with nothing else."""

import ast
import shutil

import pytest

from ndns import fingerprint as module


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package whose files a test may change."""
    target = tmp_path / "ndns"
    shutil.copytree(module.PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "PACKAGE", target)
    clear()
    yield target
    clear()


def clear():
    module.fingerprint.cache_clear()
    module._imports.cache_clear()


def changed(path, stages):
    before = {stage: module.fingerprint(stage) for stage in stages}
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    clear()
    return {stage for stage in stages if module.fingerprint(stage) != before[stage]}


def test_a_stage_depends_on_its_own_package_only(copy):
    assert changed(copy / "mix" / "__init__.py", ["mix", "corpus", "score"]) == {"mix"}


def test_a_shared_module_reaches_the_stages_that_import_it(copy):
    found = changed(copy / "audio" / "io.py", ["corpus", "mix", "score", "deploy"])
    assert found == {"corpus", "mix", "score", "deploy"}
    assert changed(copy / "metrics" / "si_snr.py", ["score", "corpus"]) == {"score"}


def test_settings_are_tracked_by_value_not_by_code(copy):
    assert changed(copy / "config.py", ["corpus", "mix", "score"]) == set()


def parsed(source):
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]


def test_imports_of_the_package_are_those_of_the_whole_syntax_tree():
    for path in sorted(module.PACKAGE.rglob("*.py")):
        source = path.read_text()
        assert sorted(map(ast.unparse, module.imports(source))) == sorted(parsed(source)), path


@pytest.mark.parametrize(
    "source",
    [
        'def late():\n    """Taken\n    from here on.\n    """\n    from ndns import files\n',
        "if True:\n    from ndns.audio import (\n        io,  # one\n        stft,\n    )\nimport ndns.mixing\n",
        "from ndns import files  # (the first\ncalled()\nif True:\n    from ndns import errors\n",
        "from ndns import files, \\\n    errors\nimport ast\n",
    ],
)
def test_imports_are_found_wherever_they_stand(source):
    assert sorted(map(ast.unparse, module.imports(source))) == sorted(parsed(source))


@pytest.mark.parametrize("stage", ["corpus", "mix", "train", "quantize", "deploy", "score", "cost", "board"])
def test_stages_do_not_import_each_other(stage):
    others = {"corpus", "mix", "train", "quantize", "deploy", "score", "cost", "board"} - {stage}
    reached = {path.relative_to(module.PACKAGE).parts[0] for path in module.modules_of(stage)}
    assert stage in reached
    assert not reached & others, f"{stage} imports {reached & others}: stages meet in files"
