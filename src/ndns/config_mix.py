"""Settings of the mixtures."""

from typing import Literal

from pydantic import Field, model_validator

from ndns.validation import Section, check_ranges


class Released(Section):
    """Options of the challenge's released generator, for `mix.method: released`; see docs/challenge.md."""

    speech_list: str | None = Field(
        None, description="text file: paths below the corpus root in the order in which the generator found them"
    )
    noise_list: str | None = Field(None, description="likewise; none takes the order of the corpus manifest")
    activity: float = Field(0.6, ge=0, lt=1, description="active share that speech must exceed; 0 takes all")
    first: int = Field(0, ge=0, description="number of the first clip and place in both lists (-fileindex_start)")


class Mix(Section):
    """How noisy clips are made: true SNR over active speech, level of the mixture as in the challenge."""

    method: Literal["true_snr", "released", "given"] = Field(
        "true_snr",
        description="released redraws what the challenge's generator draws (its seed: 5), defects included; given has "
        "no train and takes for val clips in the challenge's folders below the corpus root, e.g. its test set 1",
    )
    seed: int = Field(1, ge=0)
    train_clips: int = Field(120, ge=1)
    val_clips: int = Field(16, ge=1)
    seconds: float = Field(6.0, gt=0.5, description="length of a clip, s; the challenge has 30")
    snr_db: tuple[float, float] = Field((-5.0, 20.0), description="range of the SNR, dB")
    level_dbfs: tuple[float, float] = Field((-35.0, -15.0), description="range of the mixture's RMS level, dBFS")
    rooms: str | None = Field(None, description="folder of room impulse responses, a subfolder a room, for true_snr")
    room_share: float = Field(0.5, ge=0, le=1, description="with rooms: share of clips whose speech sounds in one")
    drift_db: float = Field(0.0, ge=0, le=20, description="how far the speech's level drifts up and down, dB")
    shard_clips: int = Field(250, ge=1, description="clips in a shard; a job renders a shard")
    released: Released = Released()

    def clips(self, split: str) -> int:
        """Return the number of clips of `train` or `val`."""
        return {"train": 0 if self.method == "given" else self.train_clips, "val": self.val_clips}[split]

    def shards(self, split: str) -> list[str]:
        """Return the names, without suffix, of the shards that hold a split."""
        return [f"{number:04d}" for number in range(-(-self.clips(split) // self.shard_clips))]

    @model_validator(mode="after")
    def _whole(self) -> "Mix":
        if self.method != "true_snr" and (self.rooms or self.drift_db):
            raise ValueError(f"rooms and drift_db belong to method true_snr, not to {self.method}")
        if self.method == "released" and self.seed >= 2**32:
            raise ValueError("seed: that of method released lies below 4294967296")
        for key in ("snr_db", "level_dbfs") if self.method == "released" else ():
            low, high = getattr(self, key)
            if low % 1 or high % 1 or low >= high:
                raise ValueError(f"{key}: method released draws whole numbers from {low} to below {high}")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> "Mix":
        check_ranges(self, "snr_db", "level_dbfs")
        if self.level_dbfs[1] > 0:
            raise ValueError(f"level_dbfs: {self.level_dbfs[1]} is above full scale")
        return self
