"""Shared fixtures: real data where it is present, and a skip with its reason where it is not."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# A busy machine makes any single example late; how long a test may take is not the rule that it checks.
hypothesis.settings.register_profile("ndns", deadline=None)
hypothesis.settings.load_profile("ndns")

# A shell that starts the suite in the background has it ignore Ctrl-C, and programs that tests start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that run studies: begun last, the longest of them would leave the other processes idle.

    Files that build on the finished tiny study come after those that do not: one process makes it, and others that want
    it at the same moment would wait.
    """
    waiting = {item.path for item in items if "complete" in item.fixturenames}
    items.sort(key=lambda item: (item.get_closest_marker("workflow") is None, item.path in waiting))


@pytest.fixture(autouse=True)
def _own_folders_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep folders that the caller's environment names out of the studies that tests configure."""
    for name in ("NDNS_CORPUS_ROOT", "NDNS_MORE_ROOT", "NDNS_WEIGHTS_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real recordings, released weights and golden integers; not part of the repository."""
    root = Path(os.environ.get("NDNS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("real recordings and released weights are absent; set NDNS_SHARED_DATA to their folder")
    return root


@pytest.fixture
def held_elsewhere() -> Callable[[Path], AbstractContextManager]:
    """A block in which another process holds a lock file."""
    code = "import sys, pathlib; from ndns.files import held\n"
    code += "with held(pathlib.Path(sys.argv[1]), ''): print(1, flush=True); input()"

    @contextmanager
    def block(path: Path) -> Iterator[None]:
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"1\n"
            yield
            process.communicate(b"\n")
        assert process.returncode == 0

    return block


REPOSITORY = Path(__file__).resolve().parents[1]
CHECKOUT = ("Snakefile", "rules", "workflow", "profiles", "config", "envs", "src", "data/sources.csv", "pyproject.toml")
TINY = """
study: tiny
corpus: {kind: speak, name: few, voices: 5, utterances: 2, noises: [pink, typing], val_noises: [typing],
         noise_clips: 2, noise_seconds: 4.0}
mix: {train_clips: 4, val_clips: 2, seconds: 3.0}
models:
  sdnn: {network: {hidden: 16}, train: {epochs: 2, batch: 2, threads: 1}, seeds: [1]}
score: {dnsmos: false}
cost: {encdec_repeats: 1}
"""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project's workflow and code, with the study `tiny.yaml`; everything runs inside of it."""

    folder: Path

    def environment(self, **changes: str) -> dict[str, str]:
        """The caller's environment with this checkout's code first."""
        path = os.pathsep.join(filter(None, [str(self.folder / "src"), changes.pop("PYTHONPATH", "")]))
        return {**os.environ, "PYTHONPATH": path, **changes}

    def snakemake(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the study."""
        return self.run(self.snakemake_command(*arguments), **environment)

    def snakemake_command(self, *arguments: str) -> list[str]:
        """The call of Snakemake for the study."""
        return [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml", *arguments]

    def ndns(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `ndns`."""
        call = [sys.executable, "-c", "from ndns.cli import main; main()", *arguments]
        return self.run(call, **environment)

    def run(self, command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(**environment), capture_output=True, text=True, check=False
        )

    def copy(self, folder: Path) -> "Checkout":
        """Another checkout with the same files and results."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Checkout(folder)


@pytest.fixture(scope="session")
def built_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a folder of that name which one of pytest's processes builds while the others wait, and all only read."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def folder_of(name: str, build: Callable[[Path], object]) -> Path:
        folder, done = root / name, root / f"{name}.done"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                build(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def bare(tmp_path_factory) -> Checkout:
    """A checkout in which nothing has run; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("bare") / "checkout"
    for name in CHECKOUT:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copyfile(source, target)
    (folder / "tiny.yaml").write_text(TINY)
    return Checkout(folder)


@pytest.fixture(scope="session")
def complete(bare, built_once) -> Checkout:
    """A checkout in which the tiny study has run to its end; tests must leave it as it is."""

    def build(folder: Path) -> None:
        result = bare.copy(folder).snakemake()
        assert result.returncode == 0, result.stdout + result.stderr

    return Checkout(built_once("complete", build))


@pytest.fixture
def checkout(complete, tmp_path) -> Checkout:
    """A copy of `complete` that a test may spoil."""
    return complete.copy(tmp_path / "checkout")


CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1100,900"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a microphone that beeps
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator:
    """One headless Chromium for all tests, with an empty profile."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium or chromedriver is absent; install the packages chromium and chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is absent")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()
