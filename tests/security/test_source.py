"""What the source must not do, from its syntax tree: unpickle, evaluate text, call a shell with values unquoted.

Archives that leave their folder: tests/corpus/test_fetch_unpack.py. Names in the report: tests/board/test_report.py.
"""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SOURCES = sorted((REPOSITORY / "src" / "ndns").rglob("*.py"))
RULES = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "rules").glob("*.smk"))]
FORBIDDEN = {
    "eval": "evaluates text",
    "exec": "runs text",
    "compile": "compiles text",
    "__import__": "imports what a text names",
    "pickle.load": "runs what a pickle says",
    "pickle.loads": "runs what a pickle says",
    "yaml.load": "builds what a tag says",
    "yaml.unsafe_load": "builds what a tag says",
    "yaml.full_load": "builds what a tag says",
    "os.system": "asks a shell",
    "os.popen": "asks a shell",
    "subprocess.getoutput": "asks a shell",
    "tempfile.mktemp": "names a file that another may make first",
}
REQUIRED = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "jinja2.Environment": ("autoescape", True),
}
"""Call -> keyword that it must have, with this value."""
LATEX = {"board/write_up.py": ["jinja2.Environment without autoescape=True"]}
"""Text that is no HTML; its filter `tex` escapes (tests/board/test_entry.py)."""
MODULES = {"shelve", "marshal", "dill", "cloudpickle", "joblib"}
VALIDATED = {
    "threads",
    "log",
    "wildcards.split",
    "wildcards.shard",
    "params.backend",
    "params.mode",
    "params.seed",
    "params.source",
    "params.study",
}
"""Values in shell commands that need no quotes: numbers, and words that the types of settings admit."""


def problems(tree):
    """Lines of a module that do what is forbidden."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno}: imports {name}" for name in names if name.split(".")[0] in MODULES]
        if not isinstance(node, ast.Call):
            continue
        name, keywords = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        if name in FORBIDDEN:
            found.append(f"{node.lineno}: {name} {FORBIDDEN[name]}")
        shell = keywords.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            found.append(f"{node.lineno}: {name} asks a shell")
        if name in REQUIRED:
            key, wanted = REQUIRED[name]
            value = keywords.get(key)
            if not (isinstance(value, ast.Constant) and value.value is wanted):
                found.append(f"{node.lineno}: {name} without {key}={wanted}")
    return found


def unquoted(text):
    """Values in a rules file's shell commands that are neither quoted nor validated."""
    shells = re.findall(r"^    shell:\n((?: {8}.*\n)+)", text, re.MULTILINE)
    values = [value for shell in shells for value in re.findall(r"\{([^{}]+)\}", shell)]
    return [value for value in values if not value.endswith(":q") and value not in VALIDATED]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_no_module_runs_what_it_reads(path):
    found = [text.partition(": ")[2] for text in problems(ast.parse(path.read_text(encoding="utf-8")))]
    assert found == LATEX.get(path.relative_to(REPOSITORY / "src" / "ndns").as_posix(), [])


@pytest.mark.parametrize(
    "text",
    [
        "eval(x)",
        "exec(x)",
        "import pickle\npickle.loads(x)",
        "import joblib",
        "from cloudpickle import dumps",
        "import torch\ntorch.load(p)",
        "import torch\ntorch.load(p, weights_only=False)",
        "import torch\ntorch.load(p, weights_only=x)",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import yaml\nyaml.load(t, Loader=yaml.Loader)",
        "import subprocess\nsubprocess.run(c, shell=True)",
        "import jinja2\njinja2.Environment()",
    ],
)
def test_the_search_finds_each_of_them(text):
    assert len(problems(ast.parse(text))) == 1


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_quote_what_they_give_to_the_shell(path):
    text = path.read_text()
    assert unquoted(text) == []
    assert "shell:" in text or path.name in ("Snakefile", "common.smk")


def test_the_search_finds_an_unquoted_value():
    text = (REPOSITORY / "rules" / "score.smk").read_text()
    assert unquoted(text.replace("{input.mix:q}", "{input.mix}")) == ["input.mix"]
    assert unquoted(text.replace("{params.settings:q}", "'{params.settings}'")) == ["params.settings"]
