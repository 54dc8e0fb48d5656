"""A Slurm cluster of this one machine, without touching the system's: own configuration, key, ports and state.

    python tests/slurm/cluster.py COMMAND...

runs a command in which `sbatch`, `squeue` and their kin talk to such a cluster, and takes it down afterwards. Programs
come from Debian's packages slurm-wlm and munge. Neither cgroups nor accounting are used, so memory is booked and not
enforced. Its GPU is only counted: jobs that ask for it get /dev/null.
"""

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "munged")
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
SECONDS = 30
"""Patience with a daemon that starts."""

CONFIG = """
ClusterName=ndns
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
MinJobAge=86400
InactiveLimit=0
KillWait=5
SlurmdTimeout=300
Waittime=0
JobCompType=jobcomp/none
NodeName={host} NodeAddr=127.0.0.1 Port={node} CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """Return the programs that a cluster needs and that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=SEARCH) is None]


@contextmanager
def one_node(cpus: int = 4, memory_mb: int = 64_000) -> Iterator[dict[str, str]]:
    """Yield the environment for clients of a running cluster.

    Args:
        cpus: CPUs that the node claims to have.
        memory_mb: memory that it claims to have.

    Raises:
        RuntimeError: a daemon did not start; the message ends with its log.
    """
    daemons: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="slurm") as temporary:
        folder = Path(temporary)
        environment = _configure(folder, cpus, memory_mb)
        try:
            _start(daemons, folder, environment, _munged(folder))
            _wait("munged", folder, lambda: (folder / "munge.socket").exists())
            _start(daemons, folder, environment, ["slurmctld", "-D", "-f", environment["SLURM_CONF"]])
            _start(daemons, folder, environment, ["slurmd", "-D", "-f", environment["SLURM_CONF"]])
            _wait("slurmd", folder, lambda: _idle(environment))
            try:
                yield environment
            finally:
                _cancel_jobs(environment)
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
            for daemon in daemons:
                _end(daemon)


def _configure(folder: Path, cpus: int, memory_mb: int) -> dict[str, str]:
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(128))
    (folder / "munge.key").chmod(0o400)
    ports = _free_ports(2)
    config = CONFIG.format(
        host=socket.gethostname().split(".")[0],
        user=getpass.getuser(),
        folder=folder,
        controller=ports[0],
        node=ports[1],
        cpus=cpus,
        memory=memory_mb,
    )
    (folder / "slurm.conf").write_text(config)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    return {**environment, "PATH": os.pathsep.join([str(_srun(folder)), SEARCH])}


def _srun(folder: Path) -> Path:
    """Make a folder with an `srun` that knows the configuration: within a job the plugin drops variables SLURM_*."""
    script = folder / "bin" / "srun"
    script.parent.mkdir()
    real = shutil.which("srun", path=SEARCH)
    script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {real} "$@"\n')
    script.chmod(0o755)
    return script.parent


def _munged(folder: Path) -> list[str]:
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "log-file": "munged.log"}
    options = [f"--{option}={folder / name}" for option, name in files.items()]
    return ["munged", "--foreground", "--force", *options, f"--seed-file={folder / 'munge.seed'}"]


def _start(daemons: list, folder: Path, environment: dict[str, str], command: list[str]) -> None:
    with open(folder / f"{command[0]}.out", "wb") as log:
        daemons.append(
            subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        )


def _wait(daemon: str, folder: Path, ready) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        if time.monotonic() > deadline:
            logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in sorted(folder.glob("*.out")))
            raise RuntimeError(f"{daemon} did not start within {SECONDS} s:\n{logs}")
        time.sleep(0.1)


def _idle(environment: dict[str, str]) -> bool:
    sinfo = ["sinfo", "--noheader", "--format=%t"]
    answer = subprocess.run(sinfo, env=environment, capture_output=True, text=True, check=False)
    return answer.stdout.strip() == "idle"


def _cancel_jobs(environment: dict[str, str]) -> None:
    """Jobs outlive the daemons, so an interrupted run must end its own first."""
    subprocess.run(["scancel", "--user", getpass.getuser()], env=environment, check=False)
    deadline = time.monotonic() + SECONDS
    squeue = ["squeue", "--noheader"]
    while subprocess.run(squeue, env=environment, stdout=subprocess.PIPE, check=False).stdout:
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)


def _end(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


if __name__ == "__main__":
    with one_node() as clients:
        sys.exit(subprocess.run(sys.argv[1:], env=clients, check=False).returncode)
