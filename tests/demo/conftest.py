"""A running server of the page, with a tiny network that learned to remove noise from tones."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ndns.demo.server import Server
from ndns.loihi2 import netx
from ndns.loihi2.program import Program
from ndns.use import registry

S5 = Path(__file__).parents[1] / "quantize/golden/s5_sparse.net"


@pytest.fixture(scope="session")
def program() -> Program:
    return netx.read(S5)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """The page of a folder without results; its one model is `s5_sparse`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "CHECKOUT", tmp_path_factory.mktemp("nothing"))
        patch.chdir(registry.CHECKOUT)
        running = Server(0, str(S5))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(scope="session")
def sound() -> np.ndarray:
    """1.5 s at 16 kHz, 16 bit: a tone that comes and goes, in noise."""
    time = np.arange(24_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * 1000 * time) * (np.sin(2 * np.pi * 2 * time) > 0)
    samples = tone + 0.05 * np.random.default_rng(1).standard_normal(len(time))
    return np.rint(samples * 32768).astype(np.int16)


@pytest.fixture(scope="session")
def recording(sound) -> bytes:
    """`sound` as a FLAC file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, 16_000, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()
