"""What the network did, clip by clip and put together: the file `activity.npz`."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ndns.files import atomic_path
from ndns.loihi2.engine import Activity

PER_CLIP = ("events", "synops", "state_min", "state_max", "overflow")
PER_STEP = ("events_per_step", "synops_per_step")


def save_clip(path: Path, activity: Activity) -> None:
    """Write one clip's activity atomically."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            layers=np.array(activity.layers, str),
            events=activity.events_per_step.sum(axis=1, dtype=np.int64),
            synops=activity.synops_per_step.sum(axis=1, dtype=np.int64),
            **{key: getattr(activity, key) for key in (*PER_CLIP[2:], *PER_STEP)},
        )


def gather(path: Path, clips: Sequence[str], parts: Sequence[Path]) -> None:
    """Join the clips' files into `activity.npz`, one clip in memory at a time.

    Arrays: `layers`, `clips` (text), `steps` (clip,), those of `PER_CLIP` int64 (clip, layer), and those of `PER_STEP`
    (layer, all steps, clips one after the other).
    """
    rows: dict[str, list[np.ndarray]] = {key: [] for key in PER_CLIP}
    steps = np.zeros(len(parts), np.int64)
    layers = np.array([], "U1")
    for index, part in enumerate(parts):
        with np.load(part, allow_pickle=False) as clip:
            layers, steps[index] = clip["layers"], clip["events_per_step"].shape[1]
            for key in PER_CLIP:
                rows[key].append(clip[key])
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, True, 1) as archive:
        whole = {"layers": layers, "clips": np.array(clips), "steps": steps}
        for key, value in (whole | {key: np.array(value, np.int64) for key, value in rows.items()}).items():
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, value, allow_pickle=False)
        for key, dtype in zip(PER_STEP, (np.int32, np.int64), strict=True):
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as handle:
                _write_steps(handle, key, dtype, parts, (len(layers), int(steps.sum())))


def _write_steps(handle, key: str, dtype: type, parts: Sequence[Path], shape: tuple[int, int]) -> None:
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(handle, header)
    for layer in range(shape[0]):
        for part in parts:
            with np.load(part, allow_pickle=False) as clip:
                handle.write(np.ascontiguousarray(clip[key][layer], dtype).tobytes())
