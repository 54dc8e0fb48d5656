"""Which file a name means: reference models with their hashes, runs of studies, files."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ndns import models
from ndns.cli import build
from ndns.config import FrontEnd, Sdnn
from ndns.errors import UserError
from ndns.files import sha256_file
from ndns.loihi2 import netx
from ndns.use import load, registry
from ndns.use.registry import REGISTRY, add, entries, find

from .networks import S5, passing

HEADER = "name,program,sha256,checkpoint,checkpoint_sha256,description\n"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A folder with three runs, in which the test works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "CHECKOUT", tmp_path / "elsewhere")
    for name in ("smoke/quantize/sdnn-seed1", "smoke/quantize/sdnn-seed12", "mini/quantize/intel_sdnn"):
        netx.write(Path("results") / name / "program.net", passing(8, 2))
    return tmp_path


@pytest.fixture
def reference(home) -> Path:
    """The same with the reference models `s5-sparse` and `sdnn`."""
    shutil.copytree(S5.parent, "reference/nets", ignore=lambda _, names: [n for n in names if n != S5.name])
    add(Path(), "s5-sparse", Path("reference/nets/s5_sparse.net"), None, "Removes noise from tones.")
    add(Path(), "sdnn", Path("results/smoke/quantize/sdnn-seed1/program.net"), None, "Lets everything pass.")
    return home


def path(name: str | None) -> str:
    return find(name).path.as_posix()


def test_a_run_is_found_by_its_name_or_the_beginning_of_it(home):
    assert path("sdnn-seed1") == "results/smoke/quantize/sdnn-seed1/program.net"
    assert path("sdnn-seed12") == "results/smoke/quantize/sdnn-seed12/program.net"
    assert path("intel") == path("mini/intel") == "results/mini/quantize/intel_sdnn/program.net"
    assert load("intel").program.front_end.n_fft == 8
    assert load("intel").name == "mini/intel_sdnn"


def test_names_that_fit_none_or_several_list_what_there_is(home):
    for name, match in (
        ("s5", r"model 's5': no such file, reference model or run; there are mini/intel_sdnn, smoke/sdnn-seed1,"),
        ("sdnn", r"model 'sdnn': fits smoke/sdnn-seed1, smoke/sdnn-seed12"),
        (None, r"name one of mini/intel_sdnn, smoke/sdnn-seed1"),
        ("smoke/intel", "no such file, reference model or run"),
        ("absent.net", "absent.net: no such file"),
    ):
        with pytest.raises(UserError, match=match):
            find(name)
    netx.write("results/mini/quantize/sdnn-seed1/program.net", passing(8, 2))
    with pytest.raises(UserError, match=r"fits .*mini/sdnn-seed1, smoke/sdnn-seed1"):
        find("sdnn-seed1")
    assert find("mini/sdnn-seed1").path.parts[1] == "mini"


def test_without_a_name_the_only_run_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "CHECKOUT", tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"no model is here: .* `make run`"):
        find(None)
    with pytest.raises(UserError, match="no model is here"):
        find("s5-sparse")
    netx.write(Path("results/smoke/quantize/sdnn-seed1/program.net"), passing(8, 2))
    assert find(None).path.parts[-2] == "sdnn-seed1"


def test_reference_models_come_before_runs_and_the_first_is_the_default(reference):
    assert path(None) == path("s5-sparse") == "reference/nets/s5_sparse.net"
    assert path("sdnn") == "results/smoke/quantize/sdnn-seed1/program.net"
    assert [entry.description for entry in entries()] == ["Removes noise from tones.", "Lets everything pass."]
    assert load().program.front_end.n_fft == load("s5-sparse").program.front_end.n_fft == 64


def test_an_empty_name_is_not_the_default(reference):
    with pytest.raises(UserError, match="model '': an empty name is none"):
        load("")


def test_a_changed_file_is_refused_before_it_is_read(reference):
    Path("reference/nets/s5_sparse.net").write_bytes(b"not a program at all")
    with pytest.raises(UserError, match=r"s5_sparse.net: its SHA-256 is [0-9a-f]{64}, but reference/models.csv says"):
        load("s5-sparse")
    assert load("reference/../results/smoke/quantize/sdnn-seed1/program.net").program.front_end.n_fft == 8


def test_a_model_that_is_not_here_names_the_mend(reference):
    Path("reference/nets/s5_sparse.net").unlink()
    with pytest.raises(UserError, match=r"model 's5-sparse': .*s5_sparse.net is not here; run `ndns restore`"):
        load()


def test_the_checkout_serves_other_folders(reference, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(registry, "CHECKOUT", reference)
    monkeypatch.chdir(tmp_path_factory.mktemp("other"))
    assert load().name == "s5-sparse"
    assert find("intel").path == reference / "results/mini/quantize/intel_sdnn/program.net"


def test_adding_again_renews_the_hashes_in_place(reference):
    netx.write("reference/nets/s5_sparse.net", passing(16, 4))
    checkpoint = Path("reference/nets/checkpoint.safetensors")
    checkpoint.write_bytes(b"weights")
    add(Path(), "s5-sparse", Path("reference/nets/s5_sparse.net"), checkpoint, "Another.")
    assert [entry.name for entry in entries()] == ["s5-sparse", "sdnn"]
    found = find("s5-sparse", checkpoint=True)
    assert (found.path, found.sha256) == (checkpoint, sha256_file(checkpoint))
    with pytest.raises(UserError, match=r"its float weights are not kept; models that have them: s5-sparse\."):
        find("sdnn", checkpoint=True)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ("A b,x.net," + "0" * 64 + ",,,", "models.csv:2: the name 'A b'"),
        ("a,x.net,123,,,", "models.csv:2: x.net needs its SHA-256"),
        ("a,,,,,", "models.csv:2: 'a' names no program"),
        ("a,/etc/x.net," + "0" * 64 + ",,,", "below the folder of the registry"),
        ("a,../x.net," + "0" * 64 + ",,,", "below the folder of the registry"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(home, row, match):
    Path("reference").mkdir()
    Path(REGISTRY).write_text(HEADER + row + "\n")
    with pytest.raises(UserError, match=match):
        find("a")


def test_what_cannot_be_added_is_refused(reference, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "x.net"
    netx.write(outside, passing(8, 2))
    before = Path(REGISTRY).read_bytes()
    for name, program, match in (
        ("S5", Path("reference/nets/s5_sparse.net"), "a-z, 0-9"),
        ("a", outside, "no such file below"),
        ("a", Path("absent.net"), "absent.net: no such file below"),
    ):
        with pytest.raises(UserError, match=match):
            add(Path(), name, program, None, "")
    assert Path(REGISTRY).read_bytes() == before


def test_the_command_adds_networks_only_and_to_the_checkout_where_the_folder_has_no_list(reference, monkeypatch):
    before = Path(REGISTRY).read_bytes()
    Path("notes.md").write_text("no network")
    for program, match in (("notes.md", "notes.md"), ("absent.net", "absent.net: no such file")):
        with pytest.raises(UserError, match=match):
            CliRunner().invoke(build(), ["models", "add", "x", "--program", program], catch_exceptions=False)
    assert Path(REGISTRY).read_bytes() == before
    assert not Path("reference/models/x").exists()
    program = Path("results/mini/quantize/intel_sdnn/program.net").resolve()
    monkeypatch.setattr(registry, "CHECKOUT", reference)
    (reference / "sub").mkdir()
    monkeypatch.chdir(reference / "sub")
    result = CliRunner().invoke(build(), ["models", "add", "x", "--program", str(program)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert not Path("reference").exists()
    assert [entry.name for entry in entries()] == ["s5-sparse", "sdnn", "x"]
    assert find("x").verified() == reference / "reference/models/x/program.net"


def test_the_command_lists_and_adds(reference):
    def run(*arguments):
        result = CliRunner().invoke(build(), ["models", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()

    Path("reference/nets/s5_sparse.net").unlink()
    assert run()[:2] == [
        "s5-sparse: Removes noise from tones. (not here: run `ndns restore`)",
        "sdnn: Lets everything pass.",
    ]
    assert run()[2:] == [f"{name}: run of a study" for name in registry.runs()]
    run("add", "intel", "--program", "results/mini/quantize/intel_sdnn/program.net", "--description", "Third.")
    assert find("intel").sha256 == sha256_file("results/mini/quantize/intel_sdnn/program.net")
    file = ["--program", "results/mini/quantize/intel_sdnn/program.net"]
    run("add", "intel", *file, "--checkpoint", "results/mini/quantize/intel_sdnn/program.net")
    weights = Path("reference/models/intel/checkpoint.net")
    assert find("intel", checkpoint=True).path == weights
    run("add", "intel", *file)
    assert not weights.exists()


def test_a_call_that_fails_leaves_the_model_as_it_was_and_one_that_succeeds_nothing_of_it(reference):
    program = ["--program", "results/mini/quantize/intel_sdnn/program.net"]
    add_x = ["models", "add", "x"]
    CliRunner().invoke(build(), [*add_x, *program], catch_exceptions=False)
    before = find("x").verified().read_bytes()
    other = ["--program", "reference/nets/s5_sparse.net", "--checkpoint", "absent.safetensors"]
    with pytest.raises(UserError, match=r"absent\.safetensors: no such file"):
        CliRunner().invoke(build(), [*add_x, *other], catch_exceptions=False)
    assert find("x").verified().read_bytes() == before
    models.save(models.build(Sdnn(hidden=4, front_end=FrontEnd(n_fft=32, hop=8)), seed=1), Path("a.safetensors"))
    CliRunner().invoke(build(), [*add_x, "--program", "a.safetensors"], catch_exceptions=False)
    assert [file.name for file in Path("reference/models/x").iterdir()] == ["program.safetensors"]
    assert load("x").program.front_end.n_fft == 32
