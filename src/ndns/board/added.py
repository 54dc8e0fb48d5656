"""Recordings of any system as a row of a study: noted beside its results, so that every later run keeps the row."""

import re
import shutil
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from ndns.audio.io import info, read_scaled
from ndns.audio.names import check_names, digest, recording_of, recordings
from ndns.config_peer import ADDED, Peer
from ndns.errors import UserError
from ndns.files import read_csv, read_number, write_text
from ndns.validation import load_yaml, validated

NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
STAGES = ("deploy", "score", "cost")
SHORT_S = 0.1
"""How much shorter than its clip a recording may be, s; what is missing is silence."""


def add(results: Path, name: str, folder: Path, facts: dict[str, Any]) -> Peer:
    """Check recordings against the clips of a study and note them; adding a name again replaces it.

    Args:
        results: results/<study>.
        name: of the row.
        folder: one recording a clip, called as `recording_of` looks for it; any rate and channel count.
        facts: what is known of the system: keys of `Peer`.

    Raises:
        UserError: no such study, a name that is taken or no plain one, clips without a recording, one too short or
            unreadable, a fact out of range.
    """
    mix = results / "mix" / "val.csv"
    if not mix.is_file():
        raise UserError(f"{mix}: no such file; name the folder of a study that has been mixed, results/<study>.")
    if not NAME.fullmatch(name):
        raise UserError(f"{name!r}: a row's name has small letters, digits and underscores only.")
    known = read_added(results)
    taken = [stage for stage in STAGES if (results / stage / name).exists()]
    trained = list(results.glob(f"*/{name}-seed[0-9]*"))
    if name == "noisy" or trained or (taken and name not in known):
        raise UserError(f"{name}: the study has a row of this name; choose another.")
    clips = {row["clip"]: read_number(row["seconds"], mix, "seconds") for row in read_csv(mix, ["clip", "seconds"])}
    there = recordings(folder)
    found = {clip: path for clip in clips if (path := recording_of(there, clip))}
    check_names({**there, **found}, clips, folder, mix)
    delay_s = float(facts.get("delay_ms") or 0.0) / 1000
    for clip, seconds in clips.items():
        length = info(found[clip]).seconds
        if length < seconds - SHORT_S:
            raise UserError(
                f"{found[clip]}: has {length:.2f} s, but the clip {clip} {seconds:.2f} s; give the whole clip."
            )
        if length > seconds + delay_s + 1:
            raise UserError(
                f"{found[clip]}: has {length:.2f} s, but the clip {clip} {seconds:.2f} s; is it another clip?"
            )
        read_scaled(found[clip])
    given = {key: value for key, value in facts.items() if value is not None}
    noted = {"peer": "folder", "folder": str(folder.resolve()), "sha256": digest(there), **given}
    entry = validated(TypeAdapter(Peer), noted, [])
    write_added(results, {**known, name: entry.model_dump(exclude_defaults=True)})
    return entry


def remove(results: Path, name: str) -> None:
    """Take an added row away, with what was computed for it; the recordings stay where they are.

    Raises:
        UserError: no such row was added.
    """
    known = read_added(results)
    if name not in known:
        there = ", ".join(known) or "none"
        raise UserError(f"{name}: no such row was added to {results} (added: {there}).")
    write_added(results, {other: entry for other, entry in known.items() if other != name})
    for stage in STAGES:
        shutil.rmtree(results / stage / name, ignore_errors=True)


def read_added(results: Path) -> dict[str, Any]:
    """Return name -> settings of the rows that were added to a study."""
    return load_yaml(results / ADDED) if (results / ADDED).is_file() else {}


def write_added(results: Path, entries: dict[str, Any]) -> None:
    """Write the note that the rules read, or remove it with its last entry."""
    if entries:
        write_text(results / ADDED, yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
    else:
        (results / ADDED).unlink(missing_ok=True)
