"""Training speed of S5: our scan against torch's generic associative scan and a Python loop, in one run.

    python bench/s5.py [--width 1.0] [--batch 1 8] [--seconds 4] [--repeats 3]

Prints, for each batch, frames a second of whole training steps (STFT, network, loss, backward, optimizer) and the
ratios: with rounding (`qat`), with the scan alone exchanged, and with torch's own products too, as the network is
written without `ndns.models.products`. Then the same for the recurrences of a step alone (forward and backward), what
a step's matrix products alone take, and the peak memory of a step over clip lengths.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import command_line
import torch
from torch._higher_order_ops.associative_scan import associative_scan

from ndns.config import S5 as Settings
from ndns.models import products, s5
from ndns.models.scan import complex_relu, diagonal_scan, rectified_scan
from ndns.processes import keep_freed_memory


def generic_scan(a, u):
    """The recurrence by torch's associative scan of pairs (factor, offset)."""
    states = a.shape[1]
    drive = torch.complex(u[..., :states], u[..., states:])
    factor = torch.complex(a[0], a[1]).expand(drive.shape).contiguous()

    def combine(left, right):
        return left[0] * right[0], right[0] * left[1] + right[1]

    _, x = associative_scan(combine, (factor, drive), dim=1, combine_mode="generic")
    return torch.cat([x.real, x.imag], dim=-1)


def loop_scan(a, u):
    """The recurrence step by step in Python."""
    states = a.shape[1]
    re = im = torch.zeros_like(u[:, 0, :states])
    rows = []
    for t in range(u.shape[1]):
        turned = a[0] * re - a[1] * im + u[:, t, :states]
        im = a[0] * im + a[1] * re + u[:, t, states:]
        re = turned
        rows.append(torch.cat([re, im], dim=-1))
    return torch.stack(rows, dim=1)


def rectified(scan):
    """What `rectified_scan` returns, by another scan."""

    def run(a, u):
        states = scan(a, u)
        return states.detach(), complex_relu(states)

    return run


SIDES = {
    "ours": (diagonal_scan, products.linear, False),
    "ours, rounding": (diagonal_scan, products.linear, True),
    "torch associative scan": (generic_scan, products.linear, False),
    "  and torch's products": (generic_scan, torch.nn.functional.linear, False),
    "Python loop": (loop_scan, products.linear, False),
    "  and torch's products too": (loop_scan, torch.nn.functional.linear, False),
}
"""Recurrence and matrix products of each network that is measured, and whether it rounds as the integers do."""


def steps(scan, linear, rounding, width, batch, seconds, repeats):
    """Seconds of each of `repeats` training steps after one that is not counted, as `ndns train` runs them."""
    s5.linear = linear
    s5.rectified_scan = rectified_scan if scan is diagonal_scan else rectified(scan)
    model = s5.S5(Settings(kind="s5", width=width, relu=True), seed=1)
    model.quantizer.switch(rounding)
    optimizer = torch.optim.AdamW(model.parameter_groups(3e-3, 0.01), fused=True)
    noisy = 0.05 * torch.randn(batch, round(16_000 * seconds))
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        model.loss(model(noisy), noisy).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return times[1:]


def recurrences(scan, states, batch, frames, blocks):
    """Seconds of the recurrences of one training step alone, forward and backward."""
    a = torch.stack([torch.full((states,), 0.9), torch.full((states,), 0.1)]).requires_grad_()
    drive = torch.randn(batch, frames, 2 * states, requires_grad=True)
    start = time.perf_counter()
    for _ in range(blocks):
        scan(a, drive).sum().backward()
    return time.perf_counter() - start


def products_alone(network, rows, repeats):
    """Seconds that a step's products take: forward, and the gradients of inputs and weights."""
    weights = [weight.flatten(0, -2) for weight in network.prunable().values()]
    pairs = [(torch.randn(rows, w.shape[1]), torch.randn(rows, w.shape[0]), w.detach()) for w in weights]
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        for x, gradient, weight in pairs:
            products.product(x, weight)
            products.product(gradient, weight.T)
            products.weight_gradient(gradient, x)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_memory(seconds, arguments):
    """MiB that one training step on clips of `seconds` adds to a process of its own."""
    code = f"import bench_s5; bench_s5.one_step({arguments.width}, {max(arguments.batch)}, {seconds})"
    prepared = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import importlib.util as u;"
    prepared += f"s = u.spec_from_file_location('bench_s5', {__file__!r}); m = u.module_from_spec(s);"
    prepared += "sys.modules['bench_s5'] = m; s.loader.exec_module(m);"
    output = subprocess.run([sys.executable, "-c", prepared + code], capture_output=True, text=True, check=True)
    return float(output.stdout)


def one_step(width, batch, seconds):
    """Print how many MiB one training step adds to the process."""
    model = s5.S5(Settings(kind="s5", width=width, relu=True), seed=1)
    tiny = 0.05 * torch.randn(1, 4000)
    model.loss(model(tiny), tiny).backward()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now
    before = peak_mib()
    noisy = 0.05 * torch.randn(batch, round(16_000 * seconds))
    model.loss(model(noisy), noisy).backward()
    print(peak_mib() - before)


def peak_mib():
    """Largest resident set so far in MiB; the one of `getrusage` would be inherited from the parent."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def compare(batch, arguments):
    """Measure all sides in turn, in whole steps and the scans alone, and print them."""
    frames = batch * (1 + round(16_000 * arguments.seconds) // 128)
    times = {name: [] for name in SIDES}
    for _ in range(arguments.repeats):
        for name, side in SIDES.items():
            times[name] += steps(*side, arguments.width, batch, arguments.seconds, 1 if side[0] is loop_scan else 4)
    ours = statistics.median(times["ours"])
    print(f"S5 width {arguments.width}, {batch} x {arguments.seconds} s, {arguments.threads} threads")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:27} {frames / median:10.0f} frames/s   {median / ours:6.1f} x the time of ours")
    network = s5.S5(Settings(kind="s5", width=arguments.width, relu=True))
    floor = products_alone(network, frames, 3 * arguments.repeats)
    print(f"{'matrix products alone':27} {frames / floor:10.0f} frames/s   {floor / ours:6.2f} x the time of ours")
    shape = network.settings.states, batch, frames // batch, network.settings.blocks
    scans = {
        name: scan for name, (scan, linear, rounding) in SIDES.items() if linear is products.linear and not rounding
    }
    alone = {name: [] for name in scans}
    for _ in range(arguments.repeats + 1):
        for name, scan in scans.items():
            alone[name].append(recurrences(scan, *shape))
    print("recurrences of a step alone:")
    medians = {name: statistics.median(values[1:]) for name, values in alone.items()}
    for name, median in medians.items():
        print(f"{name:27} {1000 * median:10.1f} ms         {median / medians['ours']:6.1f} x the time of ours")


def main():
    """Measure the sides for each batch, then memory."""
    parser = command_line.parser(__doc__)
    parser.add_argument("--width", type=float, default=1.0, help="factor k")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="clips a step")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a clip")
    parser.add_argument("--repeats", type=int, default=3, help="of which the median counts")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()  # as `ndns train` does
    for batch in arguments.batch:
        compare(batch, arguments)
    print(f"peak memory of a step, batch {max(arguments.batch)}:")
    for seconds in (2, 4, 8, 16):
        print(f"  {seconds:3} s clips {peak_memory(seconds, arguments):8.0f} MiB")


if __name__ == "__main__":
    command_line.run(main)
