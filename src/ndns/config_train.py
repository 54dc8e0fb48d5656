"""Settings of training, and of the mixtures that it draws itself."""

from typing import Literal

from pydantic import Field, model_validator

from ndns.validation import Section, check_ranges


class Fresh(Section):
    """Mixtures drawn anew every epoch, from the train split of the corpora held in memory."""

    clips: int = Field(800, ge=1, description="mixtures an epoch")
    seconds: float = Field(4.0, gt=0.5, description="length of a mixture, s")
    snr_db: tuple[float, float] = Field((-5.0, 20.0), description="range of the SNR over active speech, dB")
    level_dbfs: tuple[float, float] = Field((-35.0, -15.0), description="range of the mixture's RMS level, dBFS")
    speed: float = Field(0.1, ge=0, le=0.5, description="largest change of speed, as a share, of speech")
    noise_speed: float = Field(0.1, ge=0, le=0.5, description="largest change of speed, as a share, of noise")
    speech_eq_db: float = Field(3.0, ge=0, le=20, description="largest gain of the random filter on speech")
    noise_eq_db: float = Field(6.0, ge=0, le=20, description="largest gain of the random filter on noise")
    two_noises: float = Field(0.2, ge=0, le=1, description="share of mixtures with two noises")
    generated_share: float = Field(0.4, ge=0, le=1, description="share of noises that are generated")
    families: list[str] = Field(
        default=[
            "pink",
            "brown",
            "hum",
            "clicks",
            "engine",
            "wind",
            "traffic",
            "typing",
            "siren",
            "chirps",
            "cries",
            "switched",
            "babble",
        ],
        description="of generated noise; those that the corpus keeps for validation are left out",
    )
    corpora: list[str] | None = Field(
        None,
        description="names of the further corpora (`more`) that this model hears; all of them if left out; speakers "
        "and types of noise with a label that the corpus keeps for validation are left out of them",
    )
    more_share: float = Field(0.3, ge=0, le=1, description="share of mixtures with speech of the further corpora")
    room_share: float = Field(0.0, ge=0, le=1, description="share of mixtures whose speech sounds in a small room")
    mixed_on: Literal["cpu", "device"] = Field(
        "cpu", description="device: processes only draw, and whole batches are mixed where the network trains (GPU)"
    )
    hours: float = Field(50.0, gt=0, description="most that is held in memory of each corpus and kind; 50 h take 6 GB")

    @model_validator(mode="after")
    def _possible(self) -> "Fresh":
        check_ranges(self, "snr_db", "level_dbfs")
        return self


class Train(Section):
    """Training by Lightning."""

    epochs: int = Field(50, ge=1)
    batch: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    optimizer: Literal["radam", "adamw"] = "radam"
    schedule: Literal["constant", "cosine"] = Field("constant", description="cosine falls to 0 over all steps")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of all steps in which the rate rises linearly")
    clip_norm: float = Field(10.0, gt=0, description="largest gradient norm")
    crop_seconds: float | None = Field(None, gt=0, description="random crop of each clip; none trains on whole clips")
    source: Literal["mixtures", "plan"] = Field(
        "mixtures", description="plan mixes the planned clips as they are needed: same samples, none stored for train"
    )
    fresh: Fresh | None = Field(None, description="mixtures drawn anew every epoch instead of the rendered ones")
    accelerator: Literal["cpu", "gpu", "auto"] = "cpu"
    devices: int | Literal["auto"] = 1
    nodes: int = Field(1, ge=1)
    strategy: str = Field("auto", description="Lightning's strategy, e.g. ddp for several GPUs or nodes")
    threads: int = Field(2, ge=1, description="CPU threads; part of the result, since sums depend on their order")
    workers: int = Field(0, ge=0, description="processes that read clips; 0 reads in the training process")
    deterministic: bool = True
    tf32: bool = Field(False, description="on a GPU: S5's matrix products outside of recurrences see 10-bit mantissas")
    graph: bool = Field(False, description="on a GPU: a step's kernels are recorded once and replayed together")

    @model_validator(mode="after")
    def _one_source(self) -> "Train":
        if self.fresh and self.crop_seconds:
            raise ValueError("crop_seconds crops rendered mixtures; with fresh set fresh.seconds")
        if self.fresh and self.source == "plan":
            raise ValueError("fresh draws mixtures of its own; leave source out")
        return self
