"""What the rules ask about a study: its runs, their settings as tracked text, and the paths that name them."""

import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import TypeAdapter

from ndns.audio.names import recordings
from ndns.config import CleanedCorpus, FolderCorpus, ImportedModel, Peer, Section, Study, TrainedModel, study_from
from ndns.config_peer import ADDED
from ndns.errors import UserError
from ndns.validation import load_yaml, validated

PACKAGES = {"rnnoise": "pyrnnoise", "noisereduce": "noisereduce", "gtcrn": "onnxruntime"}
"""Packages that a peer needs beyond the pipeline's own."""

DEPLOY_SPEED = {"engine": 60, "lava": 0.15, "loihi2": 0.5}
"""Times real time, a thread, that a job may count on; lava's was measured (docs/engine.md), the board's is a guess."""


def put_interpreter_on_path() -> None:
    """Let shell rules find `ndns` beside the running interpreter, whether or not its environment is activated."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


@dataclass(frozen=True)
class Plan:
    """A study as the rules see it.

    Attributes:
        study: validated settings.
        trained: run name -> (model, seed).
        imported: run name -> model whose weights are present (or must be).
        peers: run name -> other denoiser whose weights and package are present (or must be).
        absent: run name -> optional weights or package that is not there.
        more: name -> further corpus to train on that is present, or can be made.
        unheard: name -> folder, weights or package that a further corpus lacks.
    """

    study: Study
    trained: Mapping[str, tuple[TrainedModel, int]]
    imported: Mapping[str, ImportedModel]
    peers: Mapping[str, Peer]
    absent: Mapping[str, str]
    more: Mapping[str, FolderCorpus | CleanedCorpus]
    unheard: Mapping[str, str]

    @property
    def runs(self) -> list[str]:
        """All runs that are scored."""
        return [*self.networks, *self.peers]

    @property
    def networks(self) -> list[str]:
        """Runs that are deployed as an integer program, in the order of the configuration."""
        return [*self.trained, *self.imported]

    @property
    def entries(self) -> list[str]:
        """Runs of the participant: what the study trained, or else imported in lava's own arithmetic."""
        return list(self.trained) or [run for run in self.imported if self.mode(run) == "lava-0.10"]

    def mode(self, run: str) -> str:
        """Arithmetic of a deployed run."""
        return self.imported[run].mode if run in self.imported else "lava-0.10"

    def peer_files(self, run: str) -> list[str]:
        """Files that a peer's clips depend on: weights, what its command or function names, or its recordings.

        Of a function it is its own module, looked for below the working folder; not what that imports.
        """
        peer = self.peers[run]
        module = Path((peer.callable or "").partition(":")[0].replace(".", "/"))
        named = list(peer.command or [])
        if peer.callable:
            named += [f"{module}.py", str(module / "__init__.py")]
        if peer.folder and Path(peer.folder).is_dir():
            named += [str(path) for path in recordings(Path(peer.folder)).values()]
        found = [name for name in dict.fromkeys(named) if Path(name).is_file()]
        return [*([peer.weights] if peer.weights else []), *found]

    @property
    def lists(self) -> list[str]:
        """Files that name the recordings to mix, for `mix.method: released`."""
        released = self.study.mix.released
        found = (released.speech_list, released.noise_list) if self.study.mix.method == "released" else ()
        return [file for file in found if file]

    def minutes(self, speed: float, threads: int, attempt: int) -> int:
        """Minutes that a job asks for: validation audio at `speed` x real time a thread, four times over; 30 or more.

        A job that was stopped asks for twice, then three times as much.
        """
        audio = self.study.mix.val_clips * self.study.mix.seconds
        return attempt * max(30, math.ceil(4 * audio / (60 * speed * threads)))

    def deploy_minutes(self, threads: int, attempt: int) -> int:
        """Minutes that denoising the validation clips asks for, on the backend of the study."""
        return self.minutes(DEPLOY_SPEED[self.study.deploy.backend], threads, attempt)

    def activity_mb(self) -> int:
        """MB for a job that holds the activity of all validation clips: 12 bytes a step and layer (of 16), and a copy.

        A step is taken as 8 ms.
        """
        steps = self.study.mix.val_clips * self.study.mix.seconds / 0.008
        return 2000 + math.ceil(2 * 12 * 16 * steps / 1e6)

    def train_settings(self, run: str) -> str:
        """Settings of one trained run; other seeds of the model do not appear, so adding one reruns nothing else."""
        model, seed = self.trained[run]
        return settings(model, seeds=[seed])

    def source(self, run: str) -> str:
        """What a trained run hears: stored `mixtures`, those of the `plan`, or `fresh` ones from the corpora."""
        train = self.trained[run][0].train
        return "fresh" if train.fresh else train.source

    def further(self, run: str) -> list[str]:
        """Names of the further corpora that a trained run hears, of those whose folders are present."""
        fresh = self.trained[run][0].train.fresh
        return [name for name in self.more if fresh and (fresh.corpora is None or name in fresh.corpora)]

    def cleaned_from(self, name: str, corpus: str) -> str:
        """The manifest of the recordings that a further corpus was cleaned from; `corpus` is the study's folder."""
        of = self.more[name].of
        return f"{corpus}/more/{of}/manifest.csv" if of else f"{corpus}/manifest.csv"

    def kinds(self, kind: type) -> list[str]:
        """Names of the further corpora of one kind."""
        return [name for name, corpus in self.more.items() if isinstance(corpus, kind)]

    def initial(self, run: str, results: str) -> str | None:
        """The checkpoint with which a trained run begins: that of another run, or an imported one."""
        model, seed = self.trained[run]
        if model.initial in self.imported:
            return self.imported[model.initial].weights
        return model.initial and f"{results}/train/{model.initial}-seed{seed}/checkpoint.safetensors"

    def initial_options(self, run: str, results: str) -> list[str]:
        """Options of `ndns train` for it."""
        checkpoint = self.initial(run, results)
        imported = self.imported.get(self.trained[run][0].initial)
        hashes = [f"--initial-sha256={imported.sha256}"] if imported and imported.sha256 else []
        return [f"--initial={checkpoint}", *hashes] if checkpoint else []

    def quantize_source(self, run: str) -> list[str]:
        """Options of `ndns quantize` before the file: which kind of file it is and how it is used."""
        if run in self.trained:
            return ["--checkpoint"]
        model = self.imported[run]
        hashes = ["--sha256", model.sha256] if model.sha256 else []
        waiting = [] if model.mask_delay is None else ["--mask-delay", str(model.mask_delay)]
        return [*hashes, *waiting, "--import"]


def study_file(study: str, root: Path = Path()) -> Path:
    """Return the file of settings, relative to `root`, of a study that is named as in config/ or by its path.

    Raises:
        UserError: no such file.
    """
    path = Path(study) if study.endswith((".yaml", ".yml")) else Path("config", f"{study}.yaml")
    if not (root / path).is_file():
        raise UserError(f"{path}: no such study; name a file of config/ or the path of a file of settings.")
    return path


def overridden(config: Mapping, changes: Mapping) -> dict:
    """Return a configuration with the keys of the command line in it, nested ones where `snakemake --config` puts them.

    >>> overridden({"mix": {"seed": 1, "seconds": 3}}, {"mix": {"seed": 2}})
    {'mix': {'seed': 2, 'seconds': 3}}
    """
    nested = {
        key: overridden(config[key], value)
        for key, value in changes.items()
        if isinstance(value, Mapping) and isinstance(config.get(key), Mapping)
    }
    return {**config, **changes, **nested}


def plan(config: Mapping, files: Iterable[str | Path] = ()) -> Plan:
    """Validate a configuration and list its runs.

    Raises:
        UserError: the configuration is wrong; the sentence names key, file and line.
    """
    study = study_from(with_added(config), files)
    trained, imported, peers, absent = {}, {}, {}, {}
    for name, model in study.models.items():
        first = _first(study, model)
        if not isinstance(first, TrainedModel) and first.optional and (gap := missing(first)):
            absent[name] = gap
        elif isinstance(model, TrainedModel):
            trained.update({f"{name}-seed{seed}": (model, seed) for seed in model.seeds})
        elif isinstance(model, Peer):
            peers[name] = model
        else:
            imported[name] = model
    gaps = {corpus.name: _lacking(corpus, study, peers, absent) for corpus in study.more}
    more = {corpus.name: corpus for corpus in study.more if gaps[corpus.name] is None}
    unheard = {name: gap for name, gap in gaps.items() if gap is not None}
    return Plan(study, trained, imported, peers, absent, more, unheard)


def _lacking(
    corpus: FolderCorpus | CleanedCorpus, study: Study, peers: Mapping[str, Peer], absent: Mapping[str, str]
) -> str | None:
    """Return the folder, the weights or the package that a further corpus needs and that is not there."""
    if isinstance(corpus, FolderCorpus):
        return None if Path(corpus.root).is_dir() else corpus.root
    if corpus.by not in peers:
        return absent[corpus.by]
    roots = {other.name: other.root for other in study.more if isinstance(other, FolderCorpus)}
    return roots[corpus.of] if corpus.of is not None and not Path(roots[corpus.of]).is_dir() else None


def _first(study: Study, model: TrainedModel | ImportedModel | Peer) -> TrainedModel | ImportedModel | Peer:
    """Return the model whose weights others went on from until there was this one: itself, if it began anew."""
    while isinstance(model, TrainedModel) and model.initial:
        model = study.models[model.initial]
    return model


def with_added(config: Mapping) -> Mapping:
    """Return the configuration with the systems that `ndns board add` noted for the study.

    Raises:
        UserError: an added name is one of the configuration's models, or what was noted is damaged.
    """
    file = Path("results", str(config.get("study")), ADDED)
    if not file.is_file() or not isinstance(config.get("models"), Mapping):
        return config
    added = load_yaml(file)
    validated(TypeAdapter(dict[str, Peer]), added, [file])
    for name in added:
        if name in config["models"]:
            raise UserError(f"{file}: the study has a model {name!r} of its own; run `ndns board remove {name}`.")
    return {**config, "models": {**config["models"], **added}}


def missing(model: ImportedModel | Peer) -> str | None:
    """Return the weights, the folder or the package that a model needs and that is not there."""
    if model.weights and not Path(model.weights).is_file():
        return model.weights
    if isinstance(model, Peer) and model.folder and not Path(model.folder).is_dir():
        return model.folder
    package = PACKAGES.get(model.peer) if isinstance(model, Peer) else None
    return f"the package {package}" if package and find_spec(package) is None else None


def one_of(runs: Iterable[str]) -> str:
    """Return a wildcard's pattern that matches these runs and, if there are none, nothing.

    >>> one_of(["a", "b-seed1"])
    'a|b\\\\-seed1'
    """
    return "|".join(map(re.escape, runs)) or "(?!)"


def settings(section: Section, **changes: object) -> str:
    """JSON text of a section: tracked as a parameter, so that a changed value reruns what depends on it."""
    return section.model_copy(update=changes).model_dump_json()


def named(option: str, pattern: str, runs: Iterable[str]) -> list[str]:
    """Repeat `--option=run=path` for each run.

    >>> named("costs", "cost/{run}.json", ["a"])
    ['--costs=a=cost/a.json']
    """
    return [f"--{option}={run}={pattern.format(run=run)}" for run in runs]
