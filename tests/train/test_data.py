"""Clips and their order: drawn from seed, epoch and index, nothing else."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ndns.audio.io import read_pcm16, write_pcm16
from ndns.errors import UserError
from ndns.files import read_csv, write_csv
from ndns.train import data
from ndns.train.data import Clips, EpochOrder


def test_whole_clips_are_the_files(mix):
    clips = Clips(mix / "val.csv")
    row = read_csv(mix / "val.csv")[2]
    for samples, name in zip(clips[0, 2], ("noisy", "clean"), strict=True):
        assert samples.dtype == torch.float32
        assert np.array_equal(samples.numpy() * 32768, read_pcm16(mix / row[name]))


@pytest.mark.parametrize("in_memory", [True, False])
def test_crops_are_cut_alike_and_move_with_the_epoch(mix, monkeypatch, in_memory):
    whole_noisy, whole_clean = Clips(mix / "train.csv")[0, 1]
    if not in_memory:
        monkeypatch.setattr(data, "IN_MEMORY_BYTES", 0)
    clips = Clips(mix / "train.csv", crop=4000, seed=3)
    starts = set()
    for epoch in range(6):
        noisy, clean = clips[epoch, 1]
        windows = whole_noisy.unfold(0, 4000, 1)
        start = int((windows == noisy).all(1).nonzero()[0])
        assert torch.equal(clean, whole_clean[start : start + 4000])
        assert torch.equal(noisy, clips[epoch, 1][0])
        starts.add(start)
    assert len(starts) > 3


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 9))
def test_an_epoch_visits_clips_once_and_shares_them(count, world, epoch):
    shares, held = [], []
    for rank in range(world):
        for kept, seed in ((shares, 7), (held, None)):
            order = EpochOrder(count, seed, rank, world)
            order.set_epoch(epoch)
            items = list(order)
            assert len(items) == len(order)
            assert all(item[0] == epoch for item in items)
            kept.append([index for _, index in items])
    assert len({len(share) for share in shares}) == 1
    flat = list(chain.from_iterable(shares))
    assert len(flat) == len(set(flat)) == count // world * world
    assert sorted(chain.from_iterable(held)) == list(range(count))


def test_orders_differ_by_epoch_and_seed():
    def order(seed, epoch):
        sampler = EpochOrder(30, seed)
        sampler.set_epoch(epoch)
        return [index for _, index in sampler]

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_empty_manifests_and_odd_clips_are_named(mix, tmp_path):
    rows = read_csv(mix / "val.csv")
    write_csv(tmp_path / "none.csv", [], list(rows[0]))
    with pytest.raises(UserError, match=r"none\.csv: lists no clips"):
        Clips(tmp_path / "none.csv")
    for name, samples in (("noisy", 16_000), ("clean", 15_999)):
        write_pcm16(tmp_path / f"{name}.flac", np.zeros(samples, np.int16))
    write_csv(tmp_path / "odd.csv", [{"noisy": "noisy.flac", "clean": "clean.flac"}], ["noisy", "clean"])
    with pytest.raises(UserError, match=r"clean\.flac: 15999 samples, the first clip of its manifest has 16000"):
        Clips(tmp_path / "odd.csv")
