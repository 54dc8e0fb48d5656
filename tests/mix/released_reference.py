"""The released generator's steps once more, in one process and one loop, reading audio as it goes.

Written from what N-DNS `noisyspeech_synthesizer.py` and the Microsoft functions that it calls do, with their defects:
global random streams, plain RMS called active, a noise gain from levels that are gone, validation speech uncropped.
"""

import random
from pathlib import Path

import numpy as np
import soundfile as sf

EPS = np.finfo(float).eps


def read_audio(path, resample):
    try:
        audio, rate = sf.read(path)
    except RuntimeError:
        return None
    if audio.ndim == 2:
        audio = audio.T
        audio = audio.sum(axis=0) / audio.shape[0]
    return audio if rate == 16_000 else resample(audio, rate)


def clips(audio):
    return any(abs(audio) > 0.99)


def activity(audio):
    audio = audio * (10 ** (-25 / 20) / ((audio**2).mean() ** 0.5 + EPS))
    before, active, count = 0, 0, 0
    for start in range(0, len(audio), 800):
        level = 20 * np.log10(sum(audio[start : start + 800] ** 2) + EPS)
        probability = 1.0 / (1 + np.exp(-(-1 + 0.2 * level)))
        if probability > before:
            smooth = probability * 0.8 + before * (1 - 0.8)
        else:
            smooth = probability * 0.05 + before * (1 - 0.05)
        active += smooth > 0.13
        before = probability
        count += 1
    return active / count


def windowed_rms(clean, noise):
    """The energy threshold of -50 is compared with a linear RMS, so every window passes."""
    kept = {"clean": [], "noise": []}
    for start in range(0, len(noise), 1600):
        window = noise[start : start + 1600]
        if (window**2).mean() ** 0.5 > -50:
            kept["noise"] = np.append(kept["noise"], window)
            kept["clean"] = np.append(kept["clean"], clean[start : start + 1600])
    return (kept["clean"] ** 2).mean() ** 0.5, (kept["noise"] ** 2).mean() ** 0.5


class Generator:
    """`files` as the script's glob found them; options as its arguments."""

    def __init__(self, root, speech, noise, *, seconds, snr, level, activity, first, validation, seed=5, resample=None):
        np.random.seed(seed)
        random.seed(seed)
        self.root, self.speech, self.noise = Path(root), list(speech), list(noise)
        random.shuffle(self.speech)
        random.shuffle(self.noise)
        self.samples, self.snr, self.level = int(seconds * 16_000), snr, level
        self.threshold, self.first, self.validation, self.resample = activity, first, validation, resample
        self.rejected = self.dropped = self.relabelled = self.clipped = 0

    def build(self, files, index, wanted, crop):
        output, used, left, tries = np.zeros(0), [], wanted, 50
        while left > 0 and tries > 0:
            index = (index + 1) % len(files)
            audio = read_audio(self.root / files[index], self.resample)
            if audio is None:
                continue
            if len(audio) > left and crop:
                start = np.random.randint(0, len(audio) - left)
                audio = audio[start : start + left]
            if clips(audio):
                tries -= 1
                self.clipped += 1
                continue
            used.append(files[index])
            output = np.append(output, audio)
            left -= len(audio)
            if left > 0:
                gap = min(left, 3200)
                output = np.append(output, np.zeros(gap))
                left -= gap
        return output, used, index

    def generate(self, files, index, wanted, crop, threshold):
        while True:
            audio, used, index = self.build(files, index, wanted, crop)
            if len(audio) < wanted:
                continue
            if threshold == 0.0 or activity(audio) > threshold:
                return audio, used, index
            self.rejected += 1

    def mix(self, clean, noise, snr):
        clean = clean / (max(abs(clean)) + EPS)
        noise = noise / (max(abs(noise)) + EPS)
        rms_clean, rms_noise = windowed_rms(clean, noise)
        clean = clean * (10 ** (-25 / 20) / (rms_clean + EPS))
        noise = noise * (10 ** (-25 / 20) / (rms_noise + EPS))
        noise = noise * (rms_clean / (10 ** (snr / 20)) / (rms_noise + EPS))
        noisy = clean + noise
        level = np.random.randint(float(self.level[0]), float(self.level[1]))
        rms = (noisy**2).mean() ** 0.5
        scale = 10 ** (level / 20) / (rms + EPS)
        noisy, clean, noise = noisy * scale, clean * scale, noise * scale
        if clips(noisy):
            self.relabelled += 1
            peak = max(abs(noisy)) / (0.99 - EPS)
            noisy, clean, noise = noisy / peak, clean / peak, noise / peak
            level = int(20 * np.log10(scale / peak * (rms + EPS)))
        return clean, noise, noisy, level

    def run(self, count, folder):
        """Write `count` clips below `folder`; return rows of (noisy name, number, speech files, noise files)."""
        rows, number, speech_at, noise_at = [], self.first, self.first, self.first
        while number < self.first + count:
            crop = not self.validation
            clean, used, speech_at = self.generate(self.speech, speech_at, self.samples, crop, self.threshold)
            noise, noises, noise_at = self.generate(self.noise, noise_at, len(clean), True, 0.0)
            snr = np.random.randint(*self.snr)
            clean, noise, noisy, level = self.mix(clean, noise, snr)
            if clips(clean) or clips(noise) or clips(noisy):
                self.dropped += 1
                continue
            joined = ["-".join(i[:-4].split("/")[-1] for i in files)[:100] for files in (used, noises)]
            name = f"{joined[0]}_{joined[1]}_snr{snr}_tl{level}_fileid_{number}.wav"
            streams = (noisy, name), (clean, f"clean_fileid_{number}.wav"), (noise, f"noise_fileid_{number}.wav")
            for samples, file in streams:
                sf.write(Path(folder) / file, samples, 16_000)
            rows.append((name, number, used, noises))
            number += 1
        return rows
