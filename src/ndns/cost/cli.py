"""`ndns cost`: what a run costs, and why."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Operations, proxies, size, latency; time and energy on Loihi 2.")

Program = Annotated[Path, typer.Argument(help="integer program, netx HDF5")]
ActivityFile = Annotated[Path, typer.Option(help="activity.npz of `ndns deploy`")]
Mix = Annotated[Path | None, typer.Option(help="manifest of the noisy clips; knows each core's work in each step")]
ScenarioName = Annotated[str, typer.Option(help="davies2018, sanafe, scaled, fitted, or a .yaml file")]
Goal = Annotated[str, typer.Option(help="time: shortest step; cores: fewest cores")]
Settings = Annotated[str, typer.Option(help="section `cost`: JSON text, or a JSON or YAML file")]
Json = Annotated[Path | None, typer.Option(help="also write the result as JSON")]


@app.command()
def run(
    program: Program,
    activity: ActivityFile,
    mix: Annotated[Path, typer.Option(help="manifest of the noisy clips, results/<study>/mix/val.csv")],
    denoised: Annotated[Path, typer.Option(help="manifest of the denoised clips, deploy/<run>/manifest.csv")],
    out: Annotated[Path, typer.Option(help="cost.json")],
    settings: Settings = "{}",
) -> None:
    """Write cost.json: the challenge's proxies, size and latency, and Loihi 2 under each scenario."""
    from ndns.config import Cost, settings_from
    from ndns.cost.report import check_clips, clips_of, cost
    from ndns.files import write_json

    section = settings_from(settings, Cost)
    network, did = _read(program, activity)
    clips = clips_of(mix, denoised)
    check_clips(did, [clip.name for clip in clips], activity, mix)
    write_json(out, cost(network, did, clips, section))


@app.command()
def explain(
    program: Program,
    activity: ActivityFile,
    mix: Mix = None,
    scenario: ScenarioName = "fitted",
    objective: Goal = "time",
    settings: Settings = "{}",
    out: Json = None,
) -> None:
    """Say which layer and core sets the pace on Loihi 2, and what splitting or merging would gain."""
    from ndns.cost import explain as explaining
    from ndns.cost.show import explanation
    from ndns.files import write_json
    from ndns.loihi2.scenarios import load

    chosen = load(scenario)
    chip, placement = _placed(program, activity, mix, scenario, objective, settings)
    result = explaining.explain(chip, placement, chosen)
    if out:
        write_json(out, result)
    explanation(result)


@app.command("map")
def map_(
    program: Program,
    activity: Annotated[Path | None, typer.Option(help="activity.npz; none takes the worst case")] = None,
    scenario: ScenarioName = "fitted",
    objective: Goal = "time",
    settings: Settings = "{}",
    picture: Annotated[Path | None, typer.Option(help="draw the chip, .svg or .png")] = None,
    out: Json = None,
) -> None:
    """Place a program on Loihi 2 cores: memory, axons, messages between cores."""
    from ndns.cost.explain import busy_seconds
    from ndns.cost.show import cores_table, placement_json
    from ndns.files import write_json
    from ndns.loihi2.cores import picture as draw
    from ndns.loihi2.scenarios import load

    chip, placement = _placed(program, activity, None, scenario, objective, settings)
    result = placement_json(chip, placement)
    if picture:
        busy = busy_seconds(list(chip.counts(placement)), load(scenario))
        draw(placement, picture, busy / busy.max(), f"mean time / that of the slowest core ({scenario})")
    if out:
        write_json(out, result)
    cores_table(result)


@app.command()
def published(
    scenario: Annotated[list[str] | None, typer.Option(help="only these scenarios; repeat the option")] = None,
    out: Annotated[Path | None, typer.Option(help="also write the table as CSV")] = None,
) -> None:
    """Compare published measurements of Loihi 2 with what each scenario gives."""
    from ndns.cost.show import published_table
    from ndns.files import write_csv
    from ndns.loihi2.scenarios.published import table

    rows = table(scenario or None)
    if out:
        write_csv(out, rows, list(rows[0]))
    published_table(rows)


def _read(program: Path, activity: Path):
    """Return program and activity, checked against one another."""
    from ndns.cost.report import check_program
    from ndns.loihi2 import netx
    from ndns.loihi2.traffic import read_activity

    network = netx.read_aloud(program)
    did = read_activity(activity, {layer.name: layer.neurons for layer in network.layers})
    check_program(did, network, activity)
    return network, did


def _placed(program: Path, activity: Path | None, mix: Path | None, scenario: str, objective: str, settings: str):
    """Return a program with what it did, and its placement."""
    from ndns.config import Cost, settings_from
    from ndns.cost.chip import chip_of
    from ndns.cost.report import check_clips
    from ndns.errors import UserError
    from ndns.files import read_csv
    from ndns.loihi2 import netx
    from ndns.loihi2.scenarios import load
    from ndns.loihi2.traffic import worst_case

    section = settings_from(settings, Cost)
    if objective not in ("time", "cores"):
        raise UserError(f"--objective: {objective!r} is not one of time, cores.")
    if activity is None:
        network = netx.read_aloud(program)
        did = worst_case(network)
    else:
        network, did = _read(program, activity)
    rows = read_csv(mix, ("clip", "noisy")) if mix else []
    if mix and activity:
        check_clips(did, [row["clip"] for row in rows], activity, mix)
    noisy = [mix.parent / row["noisy"] for row in rows]
    chip = chip_of(network, did, noisy, section)
    return chip, chip.placed(load(scenario), section.chips, objective)
