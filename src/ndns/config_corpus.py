"""Settings of a corpus: spoken by a synthesizer, recordings from a folder, the challenge's archives."""

from typing import Annotated, Literal

from pydantic import Field

from ndns.validation import NAME, Section

Name = Annotated[str, Field(pattern=NAME)]


class SpeakCorpus(Section):
    """Speech from eSpeak NG and generated noise: needs no file and is identical on any machine."""

    kind: Literal["speak"] = "speak"
    name: Name = "synthetic"
    seed: int = Field(1, ge=0)
    voices: int = Field(24, ge=3, description="synthetic speakers (voice, variant, pitch, rate); split 8 train : 2 val")
    utterances: int = Field(6, ge=1, description="utterances a speaker")
    noises: list[str] = Field(
        default=["pink", "engine", "wind", "traffic", "typing", "clicks", "siren", "switched", "babble"],
        min_length=2,
        description="families of generated noise; see ndns.mixing.noise",
    )
    val_noises: list[str] = Field(default=["engine", "babble", "typing"], description="families kept for validation")
    noise_clips: int = Field(6, ge=1, description="recordings a noise family")
    noise_seconds: float = Field(12.0, gt=0, description="length of a noise recording, s")


class FolderCorpus(Section):
    """Recordings from a folder tree or a manifest: any rate, any channel count; `dns4` reads DNS-4's own names."""

    kind: Literal["folder", "dns4"]
    name: Name
    root: str = Field(description="folder with the recordings; `--config corpus_root=...` or NDNS_CORPUS_ROOT sets it")
    manifest: str | None = Field(None, description="CSV below root with file,split,kind,label; else folders name these")
    seed: int = Field(1, ge=0)
    val_share: float = Field(0.2, gt=0, lt=1, description="share of speakers and of noise types kept for validation")
    on_bad: Literal["skip", "refuse"] = Field("skip", description="what happens to a bad recording")
    clipped_share: float = Field(0.001, ge=0, le=1, description="share of samples at full scale that is too much")


class CleanedCorpus(Section):
    """The speech of another corpus's train split, cleaned by a peer, to train with; see docs/peers.md."""

    kind: Literal["cleaned"]
    name: Name
    of: str | None = Field(None, description="corpus among `more` whose speech is cleaned; none: the study's own")
    by: str = Field(description="denoiser: a model of the study that has the key `peer`")
    keep: float = Field(0.3, ge=0, lt=1, description="share, in amplitude, of what the denoiser removes that stays")
    pauses_db: float = Field(-30.0, le=0, description="most by which pauses are turned down")


AnyMore = Annotated[FolderCorpus | CleanedCorpus, Field(discriminator="kind")]


class Fetch(Section):
    """The challenge's archives: where they come from and where they go; `snakemake dns4`."""

    sources: str = Field("data/sources.csv", description="table of archives: URL, size, SHA-256")
    sets: list[str] = Field(default=["dns4", "dns4_rir", "test_set_1"], min_length=1, description="sets of the table")
    root: str = Field("data/fetched", description="folder for what is unpacked; about 1000 GB for all sets")
    existing: str | None = Field(None, description="copy to use instead; `--config corpus_root=...` sets it")
    keep_archives: bool = Field(False, description="keep the archives after unpacking; about 600 GB more")
    partial: bool = Field(False, description="go on without archives that cannot be had; fetched.json names them")
