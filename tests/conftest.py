"""Shared fixtures: real data where it is present, and a skip with its reason where it is not."""

import os
import signal
from pathlib import Path

import pytest

# A shell that starts the suite in the background has it ignore Ctrl-C, and programs that tests start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_folders_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep folders that the caller's environment names out of the studies that tests configure."""
    monkeypatch.delenv("NDNS_CORPUS_ROOT", raising=False)
    monkeypatch.delenv("NDNS_WEIGHTS_ROOT", raising=False)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real recordings, released weights and golden integers; not part of the repository."""
    root = Path(os.environ.get("NDNS_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip("real recordings and released weights are absent; set NDNS_SHARED_DATA to their folder")
    return root
