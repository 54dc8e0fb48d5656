"""Python reads this by itself at its start: files come in another order, as on another file system."""

import os
import random

_listdir, _scandir, _random = os.listdir, os.scandir, random.Random(5)


def _shuffled(entries):
    entries = list(entries)
    _random.shuffle(entries)
    return entries


class _Scandir:
    def __init__(self, path="."):
        self._entries = iter(_shuffled(_scandir(path)))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def close(self):
        """The real scan has ended."""


os.listdir = lambda *path: _shuffled(_listdir(*path))
os.scandir = _Scandir
