"""What the page shows of one recording: sound, spectrograms, activity of the layers; energy on Loihi 2."""

import base64
import io
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soundfile

from ndns.audio.io import RATE, check_rate, check_scale, check_whole, encode_pcm16, limit_to_pcm16, resample, to_mono
from ndns.audio.spectrogram import LOWEST_DB, ROWS, binned, decibels
from ndns.errors import UserError
from ndns.loihi2 import scenarios, timing
from ndns.loihi2.cores import Placement, place, populations
from ndns.loihi2.denoiser import Denoiser
from ndns.loihi2.engine import Activity as Seen
from ndns.loihi2.program import Program
from ndns.loihi2.traffic import Activity, sends, worst_case
from ndns.metrics.power_proxy import power_proxy
from ndns.use.model import Model

MOST_SECONDS = 120.0
MOST_SAMPLES = 24_000_000
"""Over all channels, as stored: what is decoded at most, so that memory is bounded whatever a file holds."""
CHIPS = (1, 8)
"""Chips that are tried, fewest first; 8 are on the largest board."""
WARM_UP_S = 0.3
BARS = 240
RANGE_DB = 70.0
SILENCE_DB = -120.0


@dataclass(frozen=True)
class Recording:
    """A recording as the networks hear it: mono, 16 kHz.

    Attributes:
        samples: float64 `(samples,)`.
        whole_seconds: length of the file; more than `samples` where it was cut.
    """

    samples: np.ndarray
    whole_seconds: float

    @property
    def seconds(self) -> float:
        """Length of `samples`, s."""
        return len(self.samples) / RATE


def read_recording(data: bytes, name: str) -> Recording:
    """Decode the beginning of a file's bytes: at most `MOST_SECONDS`, channel mean, 16 kHz.

    Raises:
        UserError: not audio, no samples, cut short, NaN, floats scaled like integers, or a rate that no recording has;
            names the file.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            frames, rate = file.frames, file.samplerate
            check_rate(name, rate)
            wanted = int(min(frames, MOST_SECONDS * rate, MOST_SAMPLES // file.channels))
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        raise UserError(f"{name}: cannot be read as audio; choose a WAV, FLAC, OGG, Opus, MP3 or AIFF file.") from None
    check_whole(name, io.BytesIO(data))
    if wanted == 0:
        raise UserError(f"{name}: holds no samples; choose another file.")
    if len(samples) < wanted:
        raise UserError(f"{name}: ends after {len(samples)} of {frames} samples; the file is cut short.")
    if not np.isfinite(samples).all():
        raise UserError(f"{name}: contains NaN or infinite samples; export it again.")
    check_scale(name, samples)
    mono = resample(to_mono(samples).astype(np.float64), rate)
    if len(mono) == 0:
        raise UserError(f"{name}: is shorter than one sample at {RATE} Hz; choose another file.")
    return Recording(mono, frames / rate)


class Analyst:
    """A network with its places on the chip, which are found once.

    Args:
        model: the network.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        noise = np.random.default_rng(0).standard_normal(int(WARM_UP_S * RATE))
        Denoiser(model.program, record=True).denoise(0.05 * noise)  # compiles, so that the first time is true

    def denoise(self, recording: Recording) -> tuple[dict[str, object], Activity]:
        """Denoise a recording, and return what the page shows of it and what the network did.

        Bytes are base64: `audio` as WAV, spectrograms `(row, column)` in 0..255 with high frequencies first, `bars`
        `(column,)` of a layer with the share of its neurons that sent in 0..255.
        """
        program = self.model.program
        denoiser = Denoiser(program, record=True)
        start = time.perf_counter()
        cleaned = denoiser.denoise(recording.samples)
        took = time.perf_counter() - start
        seen = denoiser.activity()
        sounds = {"before": recording.samples, "after": cleaned}
        pictures = {name: decibels(sound) for name, sound in sounds.items()}
        top = max(LOWEST_DB + RANGE_DB, *(picture.max() for picture in pictures.values()))  # silence stays dark
        tracks = {
            name: {
                "audio": wav(sound),
                "level_dbfs": level_dbfs(sound),
                "picture": bytes_of((pictures[name] - top) / RANGE_DB + 1),
                "columns": pictures[name].shape[1],
            }
            for name, sound in sounds.items()
        }
        step_s = program.front_end.hop / RATE
        result = {
            "model": self.model.name,
            "seconds": recording.seconds,
            "whole_seconds": recording.whole_seconds,
            "latency_ms": 1000 * self.model.latency_seconds,
            "step_ms": 1000 * step_s,
            "took_s": took,
            "rows": ROWS,
            "tracks": tracks,
            "layers": layers(program, seen),
            "operations_s": operations(program, seen, step_s),
        }
        steps = np.array([seen.events_per_step.shape[1]])
        return result, Activity(seen.layers, steps, seen.events_per_step, seen.synops_per_step)

    @cached_property
    def placements(self) -> dict[str, Placement]:
        """Where the program sits on Loihi 2 under each scenario, planned for neurons that all send in every step."""
        return {name: _placed(self.model.program, scenarios.load(name)) for name in scenarios.names()}

    def energy(self, activity: Activity) -> list[dict[str, object]]:
        """Return time, power and energy of a run under each scenario, `low`, `value`, `high`; see docs/cost.md.

        Raises:
            UserError: the program does not fit on so many chips as `CHIPS` has at most.
        """
        program = self.model.program
        step_s, depth = program.front_end.hop / RATE, sum(bool(p.inputs) for p in populations(program))
        rows = []
        for name, placement in self.placements.items():
            scenario = scenarios.load(name)
            steps = timing.run(placement, timing.counts_by_share(placement, activity), scenario)
            latency_s = self.model.latency_seconds
            whole = timing.summary(steps, placement, scenario, 1, step_s, latency_s, depth)
            rows.append({"name": name} | {key: whole[key] for key in ("title", "cores", "chips")} | _spreads(whole))
        return rows


def _placed(program: Program, scenario: scenarios.Scenario) -> Placement:
    placed = populations(program)
    shares, events = sends(placed, worst_case(program))
    for chips in CHIPS:
        try:
            return place(placed, shares, events, scenario.at("value"), scenario.barrier, chips=chips)
        except UserError:
            if chips == CHIPS[-1]:
                raise
    raise AssertionError("CHIPS is empty")


def _spreads(whole: dict) -> dict[str, dict[str, object]]:
    return {
        spread: {
            "frame_s": whole[spread]["step_s"]["mean"],
            "keeps_real_time": whole[spread]["keeps_real_time"],
            "dynamic_j": whole[spread]["real_time"]["clip_dynamic_j"],
            "static_j": whole[spread]["real_time"]["clip_static_j"],
            "power_w": whole[spread]["real_time"]["power_w"],
        }
        for spread in scenarios.SPREADS
    }


def layers(program: Program, seen: Seen) -> list[dict[str, object]]:
    """Return of each sending layer its name, neurons, mean share of them that sent, and `bars` over time."""
    found = []
    for layer, events, synops in zip(program.layers, seen.events_per_step, seen.synops_per_step, strict=True):
        shares = events / layer.neurons
        found.append(
            {
                "name": layer.name,
                "neurons": layer.neurons,
                "share": float(shares.mean()),
                "synops_step": float(synops.mean()),
                "bars": bytes_of(binned(shares[None], BARS)[0]),
            }
        )
    return found


def operations(program: Program, seen: Seen, step_s: float) -> float:
    """Return operations a second by the challenge's formula, from the synaptic operations really counted."""
    neurons = sum(layer.neurons for layer in program.layers)
    return power_proxy(float(seen.synops_per_step.sum(axis=0).mean()), neurons, step_s)


def level_dbfs(sound: np.ndarray) -> float:
    """Return the RMS level in dB of full scale, not below `SILENCE_DB`."""
    power = float((sound**2).mean())
    return max(SILENCE_DB, 10 * float(np.log10(power))) if power > 0 else SILENCE_DB


def bytes_of(values: np.ndarray) -> str:
    """Return values in [0, 1], limited to it, as base64 of one byte each."""
    return base64.b64encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def wav(sound: np.ndarray) -> str:
    """Return samples as base64 of a 16-bit WAV file."""
    return base64.b64encode(encode_pcm16(limit_to_pcm16(sound)[0], kind="wav")).decode()
