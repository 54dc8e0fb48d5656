"""What results may depend on beside code and settings: processor, system, versions of libraries."""

import json
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ndns.files import sha256_bytes

LIBRARIES = ("numpy", "scipy", "torch", "onnxruntime", "pesq", "pystoi", "soundfile", "soxr", "h5py", "espeakng-loader")
"""Packages whose version can change a result."""
VECTORS = ("avx512f", "avx2", "asimd")
"""Processor features by which numerical libraries choose their kernels, widest first."""
OVERRIDES = (
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
)
"""Variables with which a caller chooses other kernels."""


@cache
def environment() -> dict[str, object]:
    """Return system, processor, Python, library versions and kernel overrides of this process, ready for JSON."""
    model, flags = _processor()
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "cpu": model,
        "vector": next((name for name in VECTORS if name in flags), "none"),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "overrides": {name: os.environ[name] for name in OVERRIDES if name in os.environ},
    }


def environment_fingerprint(value: dict[str, object] | None = None) -> str:
    """Return 16 hexadecimal digits over an `environment()`: equal where results must be equal to the bit."""
    text = json.dumps(environment() if value is None else value, sort_keys=True)
    return sha256_bytes(text.encode())[:16]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> tuple[str, set[str]]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return platform.processor() or "unknown", set()
    facts: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, text = line.partition(":")
        facts.setdefault(key.strip(), text.strip())
    flags = set((facts.get("flags") or facts.get("Features") or "").split())
    return facts.get("model name", platform.processor() or "unknown"), flags
