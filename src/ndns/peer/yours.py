"""Anybody's denoiser: a command that reads one file and writes another, a Python function, or what one has made."""

import importlib
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ndns.audio.io import RATE, check_scale, limit_to_pcm16, read_scaled, write_pcm16
from ndns.audio.names import digest, recording_of, recordings
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.peer.base import Clip, Facts, advanced

MISSING_MS = 100
"""How much shorter than its input an output may be (after its delay) before it counts as broken."""
LONGER_S = 1
"""How much longer than its input and its delay an output may be: more is another rate, or another clip."""


def _facts(settings: Settings) -> Facts:
    return Facts(
        buffer_ms=settings.latency_ms,
        lag_ms=settings.delay_ms,
        removed_samples=round(settings.delay_ms * RATE / 1000),
        parameters=settings.parameters,
        size_kb=settings.size_kb,
        macs_s=settings.macs_s,
        note=settings.note,
        known=False,
    )


def _aligned(output: np.ndarray, facts: Facts, clip: Clip, name: str) -> np.ndarray:
    more = len(output) - len(clip.noisy)
    if more < -MISSING_MS * RATE / 1000 or more > facts.removed_samples + LONGER_S * RATE:
        raise UserError(
            f"{name}: gave {len(output)} samples for {len(clip.noisy)} of {clip.name}; give the whole clip, {RATE} Hz."
        )
    return advanced(output, facts.removed_samples, len(clip.noisy))


class Command:
    """Runs a list of arguments once a clip, without a shell; `{input}` and `{output}` stand for .wav files."""

    def __init__(self, settings: Settings) -> None:
        self._arguments = settings.command or []
        self.facts = _facts(settings)

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Write the noisy clip, run the command, read what it wrote."""
        name = self._arguments[0]
        with tempfile.TemporaryDirectory() as folder:
            noisy, out = Path(folder) / "noisy.wav", Path(folder) / "denoised.wav"
            write_pcm16(noisy, limit_to_pcm16(clip.noisy)[0])
            words = [word.replace("{input}", str(noisy)).replace("{output}", str(out)) for word in self._arguments]
            try:
                ended = subprocess.run(
                    words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
                )
            except OSError as error:
                raise UserError(f"{name}: cannot be run ({error.strerror}); name an executable.") from None
            if ended.returncode:
                said = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
                raise UserError(f"{name}: ended with {ended.returncode} on {clip.name} ({said}).")
            if not out.is_file():
                raise UserError(f"{name}: wrote nothing at {{output}} for {clip.name}.")
            try:
                samples = read_scaled(out)
            except UserError as error:
                raise UserError(f"{name}: what it wrote for {clip.name} is no use: {error}") from None
            return _aligned(samples, self.facts, clip, name), {}


class Python:
    """Calls `function(samples, rate)` with float32 `(samples,)` in [-1, 1) and 16000; it returns the denoised ones."""

    def __init__(self, settings: Settings) -> None:
        self._name = settings.callable or ""
        self._function = _imported(self._name)
        self.facts = _facts(settings)

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Call the function once."""
        try:
            out = np.asarray(self._function(clip.noisy.astype(np.float32), RATE))
        except (Exception, SystemExit) as error:  # of another's code, whatever it raises
            raise UserError(f"{self._name}: failed on {clip.name} ({said(error)}); mend the function.") from error
        if out.dtype.kind != "f":
            raise UserError(f"{self._name}: returned {out.dtype} for {clip.name}; return floats in [-1, 1).")
        if out.ndim != 1:
            raise UserError(f"{self._name}: returned the shape {out.shape}; return the samples (samples,).")
        check_scale(f"{self._name}: {clip.name}", out)
        return _aligned(out.astype(np.float64), self.facts, clip, self._name), {}


class Folder:
    """Recordings that a system has already made, called as the clips are; any rate and channel count."""

    def __init__(self, settings: Settings) -> None:
        self._root = Path(settings.folder or "")
        self._files = recordings(self._root)
        if settings.sha256 and digest(self._files) != settings.sha256:
            raise UserError(f"{self._root}: the recordings are not those that were added; run `ndns board add` again.")
        power = settings.power_proxy_ops_s
        self._operations = {} if power is None else {"power_proxy_ops_s": power}
        self.facts = replace(_facts(settings), timed=False)

    def denoise(self, clip: Clip) -> tuple[np.ndarray, dict[str, float]]:
        """Read what was made of the clip."""
        path = recording_of(self._files, clip.name)
        if path is None:
            raise UserError(f"{self._root}: no recording of {clip.name}; call the file {clip.name}.wav.")
        return _aligned(read_scaled(path).astype(np.float64), self.facts, clip, str(path)), self._operations


def _imported(name: str) -> Callable[[np.ndarray, int], np.ndarray]:
    module, _, function = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name}: cannot be imported ({error}); name it `package.module:function`.") from None
    except Exception as error:  # of another's module, whatever it raises
        raise UserError(f"{name}: its module fails when it is imported ({said(error)}); mend it.") from error
    return found


def said(error: BaseException) -> str:
    """Return what an error of another's code says on one line, with the place in that code where it arose."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    return f"{text}, {own[-1].filename}:{own[-1].lineno}" if own and not isinstance(error, SyntaxError) else text
