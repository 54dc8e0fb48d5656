"""What a network has learned by heart: its SI-SNR on recordings of train and of val, speech and noise apart.

    python bench/unheard.py CHECKPOINT [CHECKPOINT ...] --corpus MANIFEST [--more MANIFEST ...] [--clips 200]

Mixtures are drawn as training on fresh mixtures draws them, of each combination of speech and noise; all networks hear
the same ones. A network that never heard either split (`network.pt` of the challenge) tells how much harder the
recordings of val are by themselves; what another loses beyond that, it loses for want of recordings.
"""

from dataclasses import replace
from pathlib import Path

import command_line
import numpy as np
import torch

from ndns import models
from ndns.config_train import Fresh
from ndns.metrics.si_snr import si_snr
from ndns.mixing.corpus import Groups, Pool, read_corpus
from ndns.models.slayer import load_slayer
from ndns.train.bank import Bank, read_groups
from ndns.train.fresh import FreshClips

EPOCH = 1_000_000
"""Of the draws: one that no training comes to."""


def main() -> None:
    """Print a row for each kind of mixture, a column for each network."""
    parser = command_line.parser(__doc__)
    parser.add_argument("checkpoints", nargs="+", type=Path, help="checkpoint.safetensors, or a network.pt of slayer")
    parser.add_argument("--corpus", type=Path, required=True, help="manifest.csv of the study's corpus")
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="manifest.csv of the further corpora")
    parser.add_argument("--clips", type=int, default=200, help="mixtures of each kind")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    networks = [_load(path) for path in arguments.checkpoints]
    settings = Fresh(speed=0.1, noise_speed=0.4, noise_eq_db=9, two_noises=0.3, generated_share=0, more_share=0)
    fresh = FreshClips(settings, 1, [arguments.corpus, *arguments.more])
    heard, val = fresh.bank, _validation(fresh.bank, arguments.corpus)
    speech = {"train": heard.own.speech, "further": heard.more.speech, "val": val.speech}
    noise = {"train": heard.own.noise, "further": heard.more.noise, "val": val.noise}
    names = [path.parent.name if path.stem == "checkpoint" else path.name for path in arguments.checkpoints]
    print(f"| speech | noise | {' | '.join(names)} |\n|---|---|{'---:|' * len(names)}")
    for speech_of, spoken in speech.items():
        for noise_of, noises in noise.items():
            if spoken and noises:
                fresh.bank = replace(heard, own=Pool(spoken, noises), more=Pool((), ()))
                means = [f"{mean:.2f}" for mean in _means(networks, fresh, arguments.clips)]
                print(f"| {speech_of} | {noise_of} | {' | '.join(means)} |", flush=True)


def _load(path: Path) -> torch.nn.Module:
    return (load_slayer(path) if path.suffix == ".pt" else models.load(path)).eval()


def _validation(bank: Bank, manifest: Path) -> Pool:
    """Add the recordings of val to the bank's samples; return them."""
    corpus = read_corpus(manifest)

    def held(groups: Groups) -> Groups:
        found = tuple(tuple(replace(one, path=f"val/{one.path}") for one in group) for group in groups)
        return read_groups(found, corpus.root, bank.samples)

    pool = corpus.pools["val"]
    return Pool(held(pool.speech), held(pool.noise))


@torch.no_grad()
def _means(networks: list[torch.nn.Module], fresh: FreshClips, clips: int) -> np.ndarray:
    """Return each network's mean SI-SNR in dB over the clips."""
    scores = []
    for index in range(clips):
        noisy, clean = fresh[EPOCH, index]
        scores.append([float(si_snr(network(noisy[None]).denoised, clean[None])) for network in networks])
    return np.mean(scores, axis=0)


if __name__ == "__main__":
    command_line.run(main)
