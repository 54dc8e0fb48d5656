"""Settings of one denoiser beside ours."""

from typing import Literal

from pydantic import Field, model_validator

from ndns.validation import Section

ADDED = "added.yaml"
"""Systems of a study that `ndns board add` noted, in its results folder: name -> settings of a peer."""


class Peer(Section):
    """Another denoiser beside ours; see docs/peers.md."""

    peer: Literal[
        "ideal_ratio_mask",
        "gtcrn",
        "rnnoise",
        "noisereduce",
        "sdnn_float",
        "spiking_fullsubnet",
        "command",
        "python",
        "folder",
    ]
    weights: str | None = Field(None, description="file of released weights; relative to weights_root")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="checked before the file is used")
    optional: bool = Field(True, description="missing weights or packages leave the row out with a message")
    norm: Literal["causal", "offline"] = Field("causal", description="spiking_fullsubnet: mean so far, or of the clip")
    command: list[str] | None = Field(None, description="command: arguments with {input} and {output}, no shell")
    callable: str | None = Field(None, pattern=r"^[\w.]+:\w+$", description="python: package.module:function")
    folder: str | None = Field(None, description="folder: recordings already denoised, called as the clips are")
    latency_ms: float | None = Field(None, ge=0, description="yours: wait for a frame; none: whole clip")
    delay_ms: float = Field(0.0, ge=0, description="yours: lag of the output, removed before scoring")
    parameters: int | None = Field(None, ge=0)
    size_kb: float | None = Field(None, ge=0)
    macs_s: float | None = Field(None, ge=0, description="multiply-accumulates of a second of audio")
    power_proxy_ops_s: float | None = Field(None, ge=0, description="folder: the challenge's proxy, if known")
    note: str = ""

    @property
    def hears_any(self) -> bool:
        """Whether it denoises speech that is no clip of a study, as that of a corpus."""
        return self.peer not in ("ideal_ratio_mask", "folder")

    @model_validator(mode="after")
    def _complete(self) -> "Peer":
        words = " ".join(self.command or [])
        if self.peer == "command" and not ("{input}" in words and "{output}" in words):
            raise ValueError("command: a list of arguments with {input} and {output} is needed")
        weighty = dict.fromkeys(("gtcrn", "sdnn_float", "spiking_fullsubnet"), "weights")
        key = {"python": "callable", "folder": "folder", **weighty}.get(self.peer)
        if key and not getattr(self, key):
            raise ValueError(f"{key}: the peer {self.peer} needs it")
        return self
