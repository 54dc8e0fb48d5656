"""Runs a peer on the noisy clips of a mixture manifest and writes what `ndns deploy` and `ndns cost` would write."""

import json
import resource
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from ndns.audio.io import RATE, limit_to_pcm16, pcm_sha256, read_pcm16, write_pcm16
from ndns.config import Peer as Settings
from ndns.errors import UserError
from ndns.files import read_csv, sha256_bytes, sha256_file, write_csv, write_json
from ndns.fingerprint import fingerprint
from ndns.metrics import latency
from ndns.peer.base import Clip, Peer, finite

COLUMNS = ["clip", "denoised", "sha256", "removed_delay_samples"]
PEERS = {
    "ideal_ratio_mask": ("ndns.peer.ideal_ratio_mask", "IdealRatioMask"),
    "gtcrn": ("ndns.peer.gtcrn", "Gtcrn"),
    "rnnoise": ("ndns.peer.rnnoise", "RNNoise"),
    "noisereduce": ("ndns.peer.noise_gate", "NoiseGate"),
    "sdnn_float": ("ndns.peer.sdnn_float", "SdnnFloat"),
    "spiking_fullsubnet": ("ndns.peer.spiking_fullsubnet", "SpikingFullSubNetPeer"),
    "command": ("ndns.peer.yours", "Command"),
    "folder": ("ndns.peer.yours", "Folder"),
    "python": ("ndns.peer.yours", "Python"),
}


def peer_of(settings: Settings) -> Peer:
    """Return the peer that settings name, its weights loaded.

    Raises:
        UserError: its package is not installed, or its weights are missing or wrong.
    """
    module, name = PEERS[settings.peer]
    try:
        return getattr(import_module(module), name)(settings)
    except ModuleNotFoundError as error:
        package = error.name
        raise UserError(f"peer {settings.peer}: the package {package!r} is absent; see docs/peers.md.") from None


def run_peer(settings: Settings, manifest: Path, folder: Path, cost: Path) -> None:
    """Write `manifest.csv` and `clips/<clip>.flac` into `folder`, and the file `cost`.

    Clips run one after the other on one core, so that their times compare. Finished ones survive an interruption, but
    not those of a system whose code is not known here: it may have been mended since.

    Raises:
        UserError: a file is missing or wrong, or a clip name occurs twice.
    """
    rows = read_csv(manifest, ("clip", "noisy", "clean"))
    names = [row["clip"] for row in rows]
    if not rows:
        raise UserError(f"{manifest}: holds no clips.")
    counts = Counter(names)
    for name in names:
        if not name or Path(name).name != name or name.startswith(".") or counts[name] > 1:
            raise UserError(f"{manifest}: the clip {name!r} occurs twice or is not a plain name.")
    one_core()
    peer, stamp = peer_of(settings), stamp_of(settings)
    done = [
        _clip(peer, row, manifest.parent, folder, stamp)
        for row in track(rows, "peer", console=Console(stderr=True), disable=not Console(stderr=True).is_terminal)
    ]
    table = [
        {
            "clip": name,
            "denoised": f"clips/{name}.flac",
            "sha256": made["sha256"],
            "removed_delay_samples": peer.facts.removed_samples,
        }
        for name, made in zip(names, done, strict=True)
    ]
    write_json(cost, figures(peer, done, lags(rows, manifest.parent, folder)))
    write_csv(folder / "manifest.csv", table, COLUMNS)
    shutil.rmtree(folder / ".parts")


def one_core() -> None:
    """Let torch compute on one core; onnxruntime is told where its session is made."""
    import torch

    torch.set_num_threads(1)


def _cpu_s() -> float:
    """Return the processor time of this process and of the programs that it ran, s."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def stamp_of(settings: Settings) -> str:
    """Return settings, code and weights, on which the clips of a peer depend beside the mixtures."""
    weights = sha256_file(settings.weights) if settings.weights else ""
    return f"{settings.model_dump_json()} {fingerprint('peer')} {weights}"


def _clip(peer: Peer, row: Mapping[str, str], root: Path, folder: Path, stamp: str) -> dict[str, Any]:
    pcm = read_pcm16(root / row["noisy"])
    heard = [pcm_sha256(pcm), *([pcm_sha256(read_pcm16(root / row["clean"]))] if peer.facts.oracle else [])]
    stamp = sha256_bytes(" ".join([stamp, *heard]).encode())
    part, sound = folder / ".parts" / f"{row['clip']}.json", folder / "clips" / f"{row['clip']}.flac"
    if peer.facts.known and part.is_file() and sound.is_file():
        made = json.loads(part.read_text())
        if made["stamp"] == stamp and made["sha256"] == pcm_sha256(read_pcm16(sound)):
            return made
    start = _cpu_s()
    denoised, operations = peer.denoise(Clip(row["clip"], pcm / 32768, root / row["clean"]))
    took = _cpu_s() - start
    samples, limited = limit_to_pcm16(finite(denoised, peer, row["clip"]))
    write_pcm16(sound, samples)
    made = {
        "stamp": stamp,
        "sha256": pcm_sha256(samples),
        "limited": limited,
        "took_s": took,
        "seconds": len(pcm) / RATE,
        "operations": dict(operations),
    }
    write_json(part, made)
    return made


def lags(rows: list[dict[str, str]], root: Path, folder: Path) -> float | None:
    """Return the mean lag of the clips as written, s, as the challenge measures a network's latency."""
    pairs = (
        (read_pcm16(root / row["noisy"]) / 32768, read_pcm16(folder / "clips" / f"{row['clip']}.flac") / 32768)
        for row in rows
    )
    return latency.network_s(pairs, RATE)


def figures(peer: Peer, done: list[dict[str, Any]], lag_s: float | None) -> dict[str, Any]:
    """Return the content of cost.json: the keys that the board knows, None where a peer has no such figure."""
    facts = peer.facts
    seconds = np.array([made["seconds"] for made in done])
    powers: dict[str, float | None] = {}
    for key in ("power_proxy_ops_s", "power_proxy_events_ops_s"):
        known = [made["operations"].get(key) for made in done]
        powers[key] = None if None in known else float(np.average(known, weights=seconds))
    network_ms = 1000 * (lag_s or 0.0)
    total_ms = None if facts.algorithmic_ms is None else facts.algorithmic_ms + network_ms
    power = powers["power_proxy_ops_s"]
    return {
        "layers": [],
        **powers,
        "pdp_proxy_ops": None if power is None or total_ms is None else power * total_ms / 1000,
        "parameters": facts.parameters,
        "size_kb": facts.size_kb,
        "macs_s": facts.macs_s,
        "real_time_factor": float(sum(made["took_s"] for made in done) / seconds.sum()) if facts.timed else None,
        "latency": {
            "algorithmic_ms": facts.algorithmic_ms,
            "buffer_ms": facts.buffer_ms,
            "removed_lag_ms": facts.lag_ms,
            "encdec_ms": None,
            "network_ms": network_ms,
            "total_ms": total_ms,
            "pipeline_ms": facts.lag_ms,
        },
        "step_s": facts.step_s,
        "clips": len(done),
        "limited_samples": sum(made["limited"] for made in done),
        "oracle": facts.oracle,
        "note": facts.note,
    }
