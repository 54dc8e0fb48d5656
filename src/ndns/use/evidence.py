"""What a study knows about one network that it made: the files from which a model card is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndns.errors import UserError
from ndns.files import read_csv, read_json, read_number, sha256_file
from ndns.use import registry
from ndns.validation import load_yaml

METRICS = ("si_snr", "ovrl", "sig", "bak", "p808", "pesq", "estoi")
NOISY = "noisy"
Scores = dict[str, dict[str, Any]]
"""Rows of `scores.csv` by clip, with numbers (None for an empty cell) in place of text."""


@dataclass(frozen=True)
class Corpus:
    """Recordings that were used.

    Attributes:
        name: of the corpus.
        rows: of its manifest, those that are `ok`.
        attributions: (licence, attribution) where they are known.
        made_from: name of the corpus that it is a cleaned copy of.
        made_by: model of the study that cleaned it.
    """

    name: str
    rows: list[dict[str, str]]
    attributions: list[tuple[str, str]]
    made_from: str | None = None
    made_by: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All that a card says, as read from files.

    Attributes:
        name: of the model, or the run's where it is no reference model.
        description: of the registry, or empty.
        program: its file.
        sha256, checkpoint_sha256: of the files; the second is None without a checkpoint.
        checkpoint_kept: whether the registry lists the checkpoint too.
        study, run: names.
        config: the study's file of settings.
        settings: its content.
        corpora: recordings.
        scores: rows of every system of the study that was scored, by its name.
        cost: content of cost.json.
        history: rows of history.csv, empty for a network that was not trained here.
    """

    name: str
    description: str
    program: Path
    sha256: str
    checkpoint_sha256: str | None
    checkpoint_kept: bool
    study: str
    run: str
    config: Path
    settings: dict[str, Any]
    corpora: list[Corpus]
    scores: dict[str, Scores]
    cost: dict[str, Any]
    history: list[dict[str, str]]

    @property
    def model(self) -> str:
        """Name of the model in the study's settings: the run's without its seed."""
        return _model_of(self.run)

    @property
    def siblings(self) -> list[str]:
        """Scored runs of the same model, this one included."""
        return [run for run in self.scores if _model_of(run) == self.model]


def _model_of(run: str) -> str:
    return run.rpartition("-seed")[0] or run


def read(model: str | None, config: Path | None = None, attributions: list[Path] | None = None) -> Evidence:
    """Gather what the study that made a network knows about it.

    Args:
        model: what `registry.find` takes; its program may lie anywhere, the run is found by its hash.
        config: the study's settings; none: `config/<study>.yaml`.
        attributions: tables with the columns `file` and `attribution`, for licences that ask for the author's name.

    Raises:
        UserError: no run made this program, or a file of the study is missing or malformed.
    """
    source = registry.find(model)
    program, entry = source.verified(), _entry(source.name)
    sha256 = sha256_file(program)
    made = [path for path in registry.runs().values() if sha256_file(path) == sha256]
    if not made:
        raise UserError(
            f"{program}: no run below results/ made this program, so nothing is known about it; "
            "`ndns restore` fetches the recorded studies."
        )
    study, run = made[0].parents[2].name, made[0].parent.name
    results = made[0].parents[2]
    config = config or results.parents[1] / f"config/{study}.yaml"
    settings = load_yaml(config)
    checkpoint = results / "train" / run / registry.CHECKPOINT
    history = checkpoint.with_name("history.csv")
    return Evidence(
        name=entry.name if entry else source.name,
        description=entry.description if entry else "",
        program=made[0],
        sha256=sha256,
        checkpoint_sha256=sha256_file(checkpoint) if checkpoint.is_file() else None,
        checkpoint_kept=bool(entry and entry.checkpoint),
        study=study,
        run=run,
        config=config,
        settings=settings,
        corpora=_corpora(results.parents[1] / "data", settings, _model_of(run), attributions or []),
        scores=_all_scores(results / "score", run),
        cost=_json(results / "cost" / run / "cost.json"),
        history=read_csv(history, ["epoch", "val_si_snr"]) if history.is_file() else [],
    )


def _entry(name: str) -> registry.Entry | None:
    return next((entry for entry in registry.entries() if entry.name == name), None)


def _all_scores(folder: Path, run: str) -> dict[str, Scores]:
    """Return the scores of all systems; those of other clips or mixtures than the run's are left out."""
    own = _scores(folder / run / "scores.csv")
    found = {path.parent.name: _scores(path) for path in sorted(folder.glob("*/scores.csv"))}
    return {name: rows for name, rows in found.items() if _labels(rows) == _labels(own)}


def _labels(rows: Scores) -> dict[str, tuple[Any, ...]]:
    """Return clip -> what tells its mixture from others of the same name."""
    return {clip: (row["snr_db"], row["level_dbfs"], row["noise_label"]) for clip, row in rows.items()}


def _scores(path: Path) -> Scores:
    numbers = ("snr_db", "level_dbfs", "si_snri_data", *METRICS)
    rows = read_csv(path, ["clip", "noise_label", *numbers])
    return {
        row["clip"]: {**row, **{key: read_number(row[key], path, key) if row[key] else None for key in numbers}}
        for row in rows
    }


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the cost stage, or `ndns restore`.")
    return read_json(path)


def lineage(settings: dict[str, Any], model: str) -> dict[str, dict[str, Any]]:
    """Return settings by name: of a model, of that with whose weights its training began, and so on."""
    models: dict[str, dict[str, Any]] = {}
    name: str | None = model
    while name and name not in models:
        models[name] = settings.get("models", {}).get(name) or {}
        name = models[name].get("initial")
    return models


def _corpora(data: Path, settings: dict[str, Any], model: str, tables: list[Path]) -> list[Corpus]:
    """Return the study's corpus and the further ones it trained on, `data/<corpus>/more/<name>`, where they are.

    A model has heard what the one whose weights it began with heard.
    """
    folder = data / settings.get("corpus", {}).get("name", "synthetic")
    sections = {section["name"]: section for section in settings.get("more", [])}
    heard: set[str] = set()
    for section in lineage(settings, model).values():
        fresh = section.get("train", {}).get("fresh")
        if fresh is not None:
            heard |= set(sections if fresh.get("corpora") is None else fresh["corpora"])
    more = [folder / "more" / name for name in sections if name in heard]
    known = dict(pair for table in tables for pair in _attributions(table))
    found = []
    for path in [folder, *(path for path in more if (path / "manifest.csv").is_file())]:
        rows = read_csv(path / "manifest.csv", ["path", "kind", "label", "split", "seconds", "licence", "status"])
        rows = [row for row in rows if row["status"] == "ok"]
        named = {(row["licence"], known[row["path"]]) for row in rows if row["path"] in known}
        section = {} if path == folder else sections[path.name]
        of = (section.get("of") or folder.name) if section.get("kind") == "cleaned" else None
        found.append(Corpus(path.name, rows, sorted(named), of, section.get("by")))
    return found


def _attributions(table: Path) -> list[tuple[str, str]]:
    return [(row["file"], row["attribution"]) for row in read_csv(table, ["file", "attribution"])]
