"""Joins the processes of a run: those that SLURM, Open MPI or a TPU pod started, or settings name.

It must happen before JAX looks for devices; afterwards each process sees those of all.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError
from reex_jax.settings.machine import Machine

_CHIPS = ("/dev/accel0", "/dev/vfio/0")
_LOST = ("gloo", "nccl", "unavailable:", "socket closed", "heartbeat", "coordination service")
_TPU_HOSTS = "TPU_WORKER_HOSTNAMES"


@dataclass(frozen=True)
class Launched:
    """What a launcher says of this process.

    Attributes:
        by: its name.
        processes: how many it started; 0 where only JAX can find out.
        process: which this is; -1 likewise.
    """

    by: str
    processes: int = 0
    process: int = -1


def launched_by(environment: Mapping[str, str]) -> Launched | None:
    """Who started several processes, by its environment variables; None for one process alone.

    Inside of `salloc` or a batch script, without `srun`, SLURM has started a single process.
    """
    launchers = (
        ("SLURM", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("Open MPI", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    )
    for name, count, index in launchers:
        processes, process = environment.get(count, ""), environment.get(index, "")
        if processes.isdecimal() and int(processes) > 1 and process.isdecimal():
            return Launched(name, int(processes), int(process))
    hosts = len(environment.get(_TPU_HOSTS, "").split(","))
    if hosts > 1:
        return Launched("TPU pod", hosts)
    return Launched("TPU") if _has_chips(environment) else None


def _has_chips(environment: Mapping[str, str]) -> bool:
    """Whether JAX will use TPU chips of this machine, which may be one host of a pod."""
    platforms = environment.get("JAX_PLATFORMS", "")
    wanted = not platforms or "tpu" in platforms.split(",")
    return (
        wanted
        and importlib.util.find_spec("libtpu") is not None
        and any(Path(chip).exists() for chip in _CHIPS)
    )


def join(machine: Machine, environment: Mapping[str, str] = os.environ) -> None:
    """Joins the others, where there are any; says so in the first process.

    Raises:
        UserError: the settings and the environment leave open who takes part, or the others cannot
            be reached.
    """
    launched = launched_by(environment)
    if machine.coordinator:
        arguments = _named(machine, launched)
    elif machine.process >= 0:
        raise UserError(
            f"machine.process is {machine.process}, but machine.coordinator is empty; give "
            "host:port of process 0, and machine.processes"
        )
    elif launched is None:
        return
    else:
        arguments = {}
    if launched is not None or arguments:
        _say_who_joins(machine, launched, arguments)
    import jax

    # Processes on CPUs talk through gloo; GPUs and TPUs have their own ways.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**arguments)
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        if launched is not None and launched.by == "TPU" and not arguments:
            return  # chips without a pod's metadata: a machine of its own
        raise _unreachable(machine, launched, error) from error
    if jax.process_count() > 1 and jax.process_index() == 0:
        kinds = ", ".join(dict.fromkeys(device.device_kind for device in jax.devices()))
        print(
            f"{jax.process_count()} processes share the work over up to {jax.device_count()} "
            f"devices ({kinds}); this one, process 0, writes the results",
            flush=True,
        )


def _say_who_joins(
    machine: Machine, launched: Launched | None, arguments: Mapping[str, Any]
) -> None:
    """A line before waiting, since JAX ends the whole process where the others do not come."""
    count = arguments.get("num_processes") or (launched.processes if launched else 0)
    index = arguments.get("process_id", launched.process if launched else -1)
    if count > 1 and index >= 0:
        place = machine.coordinator or f"the place that {launched and launched.by} names"
        print(
            f"process {index} of {count} joins at {place}, and waits up to 5 minutes for all",
            file=sys.stderr,
            flush=True,
        )


def refuse_several(command: str, environment: Mapping[str, str] = os.environ) -> None:
    """For commands that one process does alone.

    Raises:
        UserError: a launcher started several.
    """
    launched = launched_by(environment)
    if launched is not None and launched.processes > 1:
        raise UserError(
            f"{launched.by} started {launched.processes} processes, but the command {command} "
            "runs in one; start it once, on one host"
        )


def _named(machine: Machine, launched: Launched | None) -> dict[str, Any]:
    """The arguments of `jax.distributed.initialize`: settings first, then the launcher."""
    processes, process = machine.processes, machine.process
    if launched is not None:
        processes = processes or launched.processes
        process = launched.process if process < 0 else process
    if processes < 1 or process < 0:
        key = "machine.processes" if processes < 1 else "machine.process"
        raise UserError(
            f"machine.coordinator is {machine.coordinator!r}, but nobody says {key}; give "
            "machine.processes (the same on every host) and machine.process (0, 1, ...)"
        )
    return {
        "coordinator_address": machine.coordinator,
        "num_processes": processes,
        "process_id": process,
    }


def _unreachable(machine: Machine, launched: Launched | None, error: Exception) -> UserError:
    where = machine.coordinator or f"what {launched.by} says" if launched else machine.coordinator
    reason = " ".join(str(error).split())
    return UserError(
        f"the processes cannot join at {where} ({reason:.200}); start the same command on every "
        "host, with machine.coordinator=HOST:PORT (a free port of process 0 that all can reach), "
        "machine.processes=N and machine.process=0..N-1"
    )


def lost_process(error: Exception) -> str | None:
    """A line for what JAX raises where another process has ended; None for any other error."""
    import jax

    text = " ".join(str(error).split())
    # JAX raises several types; only the text tells what failed.
    if not any(word in text.lower() for word in _LOST):
        return None
    return (
        f"process {jax.process_index()} of {jax.process_count()} stops, because another one has "
        "ended or cannot be reached; what was finished is kept, the same command on every host "
        f"goes on from there ({text:.160})"
    )
