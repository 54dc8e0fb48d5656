"""Reference pipeline for neuromorphic speech denoising."""

__version__ = "0.1.0"
