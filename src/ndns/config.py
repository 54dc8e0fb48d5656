"""Every setting of a study: typed, with unit and source. `Study` is what a file in `config/` says.

Sections carry the names of the stages. A stage takes its own section (and nothing else) as settings.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter, model_validator

from ndns.audio.stft import Frames
from ndns.config_corpus import AnyMore, CleanedCorpus, Fetch, FolderCorpus, Name, SpeakCorpus
from ndns.config_mix import Mix
from ndns.config_peer import Peer
from ndns.config_train import Train
from ndns.errors import UserError
from ndns.validation import Section, check_keys_once, load_yaml, validated


class FrontEnd(Section):
    """Short-time Fourier transform around the network (N-DNS baseline: 512/128, no window)."""

    n_fft: int = Field(512, gt=0)
    hop: int = Field(128, gt=0)
    window: Literal["rectangular", "sqrt_hann"] = "rectangular"

    def frames(self) -> Frames:
        """Return the framing that encoder and decoder use."""
        return Frames(self.n_fft, self.hop, self.window)

    @model_validator(mode="after")
    def _frames_exist(self) -> "FrontEnd":
        self.frames()
        return self


class Sdnn(Section):
    """The challenge's sigma-delta network (arXiv 2303.09503, section IV)."""

    kind: Literal["sdnn"] = "sdnn"
    hidden: int = Field(512, ge=1, description="neurons in each of the two hidden layers")
    threshold: float = Field(0.1, gt=0, description="delta threshold, in units of the activation")
    max_delay: int = Field(62, ge=0, le=62, description="largest axonal delay, steps; the chip's limit is 62")
    offset: float = Field(0.2, description="subtracted from |STFT| before the network")
    mask_delay: int = Field(1, ge=0, le=8, description="frames by which |STFT| waits for the mask")
    front_end: FrontEnd = FrontEnd()


class Sparsity(Section):
    """Magnitude pruning of weights while training (sparse S5, arXiv 2502.01330)."""

    density: float = Field(0.1, gt=0, le=1, description="share of weights that stays")
    distribution: Literal["erk", "uniform"] = "erk"
    method: Literal["ste", "iht"] = Field("ste", description="straight-through or iterative hard thresholding")
    start: float = Field(0.05, ge=0, lt=1, description="share of training before pruning begins")
    end: float = Field(0.75, gt=0, le=1, description="share of training at which the density is reached")

    @model_validator(mode="after")
    def _ordered(self) -> "Sparsity":
        if self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self


class Qat(Section):
    """Quantization-aware training: weights and activations rounded as on the chip."""

    start: float = Field(0.8, ge=0, lt=1, description="share of training before rounding begins")
    weight_bits: int = Field(8, ge=2, le=8)
    activation_bits: int = Field(16, ge=8, le=16)


class S5(Section):
    """Linear recurrent network with diagonal complex states (S5; arXiv 2502.01330)."""

    kind: Literal["s5"]
    width: float = Field(0.5, gt=0, description="factor k: 192 k features, 128 k complex states; a multiple of 1/16")
    blocks: int = Field(3, ge=1)
    relu: bool | list[Literal["encoder", "state", "z", "residual"]] = Field(
        False,
        description="ReLU on the encoder, the state's readout, z (else sigmoid-form GELU), the residual; true: all",
    )
    mask: Literal["relu", "sigmoid"] = Field("relu", description="of the output v: relu(1 + v), or sigmoid(v) below 1")
    dt: tuple[float, float] = Field(
        (0.01, 1.0), description="range of initial time steps, frames; S5's own: 0.001..0.1"
    )
    dropout: float = Field(0.0, ge=0, lt=1)
    level: Literal["none", "shift"] = Field(
        "none", description="shift: |STFT| is divided by its running level, a power of two (ndns.audio.level)"
    )
    offset: float = Field(0.0, description="subtracted from |STFT| before the network")
    compressed_loss: float = Field(
        0.0, ge=0, description="weight of the squared difference of compressed magnitudes beside SI-SNR in dB"
    )
    variance_floor: float = Field(
        1e-3, gt=0, description="added to variances in BatchNorm: features that hardly ever fire are scaled no further"
    )
    sparsity: Sparsity | None = None
    qat: Qat | None = None
    front_end: FrontEnd = FrontEnd(window="sqrt_hann")

    @property
    def relus(self) -> frozenset[str]:
        """Where there is a ReLU."""
        if isinstance(self.relu, bool):
            return frozenset(("encoder", "state", "z", "residual") if self.relu else ())
        return frozenset(self.relu)

    @property
    def blocks_of_16(self) -> int:
        """Blocks of the HiPPO matrix in a state space."""
        return round(16 * self.width)

    @property
    def features(self) -> int:
        """Width H between the blocks."""
        return 12 * self.blocks_of_16

    @property
    def states(self) -> int:
        """Complex states P of a block."""
        return 8 * self.blocks_of_16

    @model_validator(mode="after")
    def _possible(self) -> "S5":
        if abs(16 * self.width - self.blocks_of_16) > 1e-9:
            raise ValueError(f"width {self.width} is not a multiple of 1/16")
        if not 0 < self.dt[0] <= self.dt[1]:
            raise ValueError(f"dt {self.dt} is not a range of positive steps")
        return self


def _network_kind(value: object) -> str | None:
    return value.get("kind", "sdnn") if isinstance(value, Mapping) else getattr(value, "kind", None)


AnyNetwork = Annotated[Annotated[Sdnn, Tag("sdnn")] | Annotated[S5, Tag("s5")], Discriminator(_network_kind)]


class TrainedModel(Section):
    """A network that the study trains, once a seed."""

    network: AnyNetwork = Sdnn()
    train: Train = Train()
    seeds: list[int] = Field(default=[1], min_length=1)
    initial: Name | None = Field(
        None,
        description="model whose weights training begins with: trained by the study, of the same seed, or a checkpoint",
    )


class ImportedModel(Section):
    """A network trained elsewhere: `network.net` (netx), `network.pt` (slayer state dict) or a checkpoint of ours."""

    weights: str = Field(
        description="file; a relative path counts from `--config weights_root=` or NDNS_WEIGHTS_ROOT; with ./ from here"
    )
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="checked before the file is used")
    optional: bool = Field(True, description="a missing file leaves the row out with a message instead of failing")
    mask_delay: int | None = Field(
        None, ge=0, le=8, description="frames by which |STFT| waits for the mask; left out: as the file says, else 1"
    )
    mode: Literal["lava-0.10", "lava-corrected", "chip24", "chip24-saturate"] = Field(
        "lava-0.10", description="arithmetic of the engine; see ndns.loihi2"
    )

    @property
    def is_checkpoint(self) -> bool:
        """Whether training can go on from these weights."""
        return self.weights.endswith(".safetensors")

    @model_validator(mode="after")
    def _checkpoint_brings_its_delay(self) -> "ImportedModel":
        if self.is_checkpoint and self.mask_delay is not None:
            raise ValueError("mask_delay: a checkpoint brings its own; leave it out")
        return self


class Deploy(Section):
    """Where the integer program runs."""

    backend: Literal["engine", "lava", "loihi2"] = "engine"


class Score(Section):
    """Which metrics are computed a clip."""

    dnsmos: bool = True
    dnsmos_windows: Literal["challenge", "all"] = Field(
        "challenge", description="`challenge` skips windows 7 to 23 as the challenge's script does; `all` skips none"
    )
    pesq: bool = True
    estoi: bool = True


class Cost(Section):
    """Settings of the challenge's proxies and of the Loihi 2 model."""

    encdec_repeats: int = Field(5, ge=1, description="timed repetitions of encode + decode")
    chips: int = Field(8, ge=1, description="Loihi 2 chips that a program may take; Kapoho Point has 8")
    exact_clips: int = Field(
        16, ge=0, description="clips run again on the engine, so that the work of each core in each step is known"
    )


class Board(Section):
    """What the report shows."""

    team: str = "ndns"
    date: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="date of a submission, YYYY-MM-DD; else empty")
    players: int = Field(3, ge=0, description="clips with audio players and spectrograms")


def _model_kind(value: object) -> str | None:
    if not isinstance(value, Mapping | Section):
        return None
    keys = value if isinstance(value, Mapping) else vars(value)
    if "peer" in keys:
        return "peer"
    return "imported" if "weights" in keys else "trained"


AnyCorpus = Annotated[SpeakCorpus | FolderCorpus, Field(discriminator="kind")]
AnyModel = Annotated[
    Annotated[TrainedModel, Tag("trained")] | Annotated[ImportedModel, Tag("imported")] | Annotated[Peer, Tag("peer")],
    Discriminator(_model_kind),
]


class Study(Section):
    """One study: a corpus, mixtures, models, and what is computed from them."""

    study: Name
    fetch: Fetch = Fetch()
    corpus: AnyCorpus = SpeakCorpus()
    more: list[AnyMore] = Field(
        default=[], description="further corpora, whose train split `train.fresh` hears; an absent one is left out"
    )
    mix: Mix = Mix()
    models: dict[Name, AnyModel] = Field(min_length=1)
    deploy: Deploy = Deploy()
    score: Score = Score()
    cost: Cost = Cost()
    board: Board = Board()

    @model_validator(mode="after")
    def _initial_models_can_be_trained_on(self) -> "Study":
        for name, model in self.models.items():
            before, seen = model, {name}
            while isinstance(before, TrainedModel) and before.initial:
                parent = self.models.get(before.initial)
                if isinstance(parent, ImportedModel) and parent.is_checkpoint:
                    break
                if not isinstance(parent, TrainedModel) or before.initial in seen:
                    expected = "a model trained before this one, or one whose weights are a checkpoint (.safetensors)"
                    raise ValueError(f"models.{name}.initial: {before.initial} is not {expected}")
                if lacking := set(before.seeds) - set(parent.seeds):
                    raise ValueError(
                        f"models.{name}.initial: {before.initial} has no seed {min(lacking)}; add it there"
                    )
                seen.add(before.initial)
                before = parent
        return self

    @model_validator(mode="after")
    def _heard_corpora_are_there(self) -> "Study":
        known = {corpus.name for corpus in self.more}
        for name, model in self.models.items():
            fresh = model.train.fresh if isinstance(model, TrainedModel) else None
            if unknown := set(fresh.corpora or () if fresh else ()) - known:
                raise ValueError(f"models.{name}.train.fresh.corpora: {min(unknown)} is not among more")
        return self

    @model_validator(mode="after")
    def _cleaning_is_possible(self) -> "Study":
        folders = [corpus.name for corpus in self.more if isinstance(corpus, FolderCorpus)]
        for corpus in self.more:
            if not isinstance(corpus, CleanedCorpus):
                continue
            by = self.models.get(corpus.by)
            if not isinstance(by, Peer) or not by.hears_any:
                raise ValueError(f"more.{corpus.name}.by: {corpus.by} is no model with a peer that denoises any speech")
            if corpus.of is not None and corpus.of not in folders:
                raise ValueError(
                    f"more.{corpus.name}.of: {corpus.of} is no folder among more; leave it out for the study's corpus"
                )
        return self

    @model_validator(mode="after")
    def _runs_are_possible(self) -> "Study":
        if "noisy" in self.models:
            raise ValueError("models.noisy: the unprocessed mixture is called so; choose another name")
        names = [corpus.name for corpus in self.more]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"more: the name {min(twice)} is there twice; choose another")
        for name, model in self.models.items():
            if isinstance(model, TrainedModel) and min(model.seeds) < 0:
                raise ValueError(f"models.{name}.seeds: {min(model.seeds)} is below 0")
            seeds = model.seeds if isinstance(model, TrainedModel) else []
            if again := [seed for seed in seeds if seeds.count(seed) > 1]:
                raise ValueError(f"models.{name}.seeds: {again[0]} is there twice; remove one")
            if isinstance(model, TrainedModel) and self.mix.method == "given" and not model.train.fresh:
                raise ValueError(f"models.{name}: mix.method given has no clips to train on; name weights instead")
        return self


ROOTS = {"corpus_root": "NDNS_CORPUS_ROOT", "weights_root": "NDNS_WEIGHTS_ROOT", "more_root": "NDNS_MORE_ROOT"}
"""Folders outside the repository: keys for `--config` and the environment variables that stand in for them."""


def study_from(config: Mapping[str, Any], files: Iterable[str | Path] = ()) -> Study:
    """Validate a study's configuration after filling in the folders of `ROOTS`.

    Args:
        config: merged keys of the configuration files and the command line.
        files: configuration files, read again only to name file and line of a wrong key.

    Raises:
        UserError: an unknown key, a missing key, one that is there twice, or a wrong value; the sentence names key,
            file and line.
    """
    files = list(files)
    roots = {key: config.get(key) or os.environ.get(variable) for key, variable in ROOTS.items()}
    for key, root in roots.items():
        if root and not isinstance(root, str):
            raise UserError(f"{key}: expected a folder (found {root!r}); write ./{root} if it is one.")
    for file in files:
        check_keys_once(file)
    config = {key: value for key, value in config.items() if key not in ROOTS}
    corpus = config.get("corpus")
    if roots["corpus_root"] and isinstance(corpus, Mapping) and corpus.get("kind") in ("folder", "dns4"):
        config["corpus"] = {**corpus, "root": roots["corpus_root"]}
    if roots["corpus_root"] and isinstance(config.get("fetch", {}), Mapping):
        config["fetch"] = {**config.get("fetch", {}), "existing": roots["corpus_root"]}
    if roots["more_root"] and isinstance(config.get("more"), list):
        config["more"] = [_below(roots["more_root"], corpus, "root") for corpus in config["more"]]
    models = config.get("models")
    if isinstance(models, Mapping):
        config["models"] = {name: _below(roots["weights_root"], model, "weights") for name, model in models.items()}
    return validated(TypeAdapter(Study), config, files)


def settings_from(text: str, kind: Any) -> Any:
    """Parse the settings of one stage.

    Args:
        text: JSON text, or the path of a JSON or YAML file.
        kind: a `Section` class or a union of them.

    Raises:
        UserError: not JSON, no such file, an unknown key or a wrong value.
    """
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise UserError(f"--settings: not JSON ({error}).") from None
        return validated(TypeAdapter(kind), value, [])
    return validated(TypeAdapter(kind), load_yaml(text), [text])


def _below(root: str | None, section: Any, key: str) -> Any:
    """Return the section with its path below `root`, or as it is behind a leading `./`."""
    if not isinstance(section, Mapping) or not isinstance(section.get(key), str):
        return section
    path = section[key]
    return {**section, key: path.removeprefix("./") if path.startswith("./") else os.path.join(root or "", path)}
