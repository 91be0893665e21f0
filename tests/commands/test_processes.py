"""Who shares a run, by launchers' variables and by settings."""

import jax
import pytest

from reex_jax.commands.processes import Launched, join, launched_by, refuse_several
from reex_jax.errors import UserError
from reex_jax.settings.machine import Machine

SRUN = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
MPIRUN = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (SRUN, Launched("SLURM", 4, 3)),
        # A batch script, or a shell of salloc, is one process of a larger job.
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None),
        (SRUN | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        (MPIRUN, Launched("Open MPI", 2, 1)),
        ({"OMPI_COMM_WORLD_SIZE": "many", "OMPI_COMM_WORLD_RANK": "1"}, None),
        ({"TPU_WORKER_HOSTNAMES": "t0,t1,t2,t3", "TPU_WORKER_ID": "2"}, Launched("TPU pod", 4)),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ],
)
def test_launchers_are_known_by_their_variables(environment, expected):
    assert launched_by(environment | {"JAX_PLATFORMS": "cpu"}) == expected


def test_one_process_joins_nobody():
    join(Machine(), {"JAX_PLATFORMS": "cpu"})
    assert not jax.distributed.is_initialized()


@pytest.mark.parametrize(
    ("settings", "environment", "message"),
    [
        ({"process": 1}, {}, "machine.process is 1, but machine.coordinator is empty"),
        ({"coordinator": "h:1"}, {}, "nobody says machine.processes; give"),
        ({"coordinator": "h:1", "processes": 2}, {}, "nobody says machine.process; give"),
    ],
)
def test_what_leaves_open_who_takes_part_is_refused(settings, environment, message):
    with pytest.raises(UserError, match=message):
        join(Machine(**settings), environment | {"JAX_PLATFORMS": "cpu"})


@pytest.fixture
def joined(monkeypatch):
    """The arguments with which JAX is asked to join; it finds no other process."""
    asked = []

    def initialize(**arguments):
        asked.append(arguments)
        raise RuntimeError("nobody there")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    return asked


@pytest.mark.parametrize(
    ("settings", "environment", "arguments", "where"),
    [
        ({}, SRUN, {}, "what SLURM says"),
        ({}, MPIRUN, {}, "what Open MPI says"),
        ({"coordinator": "h:1"}, MPIRUN, ("h:1", 2, 1), "h:1"),
        ({"coordinator": "h:1", "processes": 3, "process": 2}, {}, ("h:1", 3, 2), "h:1"),
        ({"coordinator": "h:1", "processes": 3, "process": 0}, SRUN, ("h:1", 3, 0), "h:1"),
    ],
)
def test_settings_come_before_the_launcher(settings, environment, arguments, where, joined):
    with pytest.raises(
        UserError, match=rf"cannot join at {where} \(nobody there\); start the same"
    ):
        join(Machine(**settings), environment | {"JAX_PLATFORMS": "cpu"})
    if arguments:
        names = ("coordinator_address", "num_processes", "process_id")
        arguments = dict(zip(names, arguments, strict=True))
    assert joined == [arguments]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"coordinator": "host"}, "write host:port of process 0"),
        ({"coordinator": "host:99999"}, "write host:port of process 0"),
        ({"coordinator": "h:1", "processes": 2, "process": 2}, r"must lie in 0\.\.1"),
        ({"processes": 2, "process": 0}, "machine.coordinator is empty"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Machine(**settings)


def test_a_command_for_one_process_refuses_several():
    refuse_several("pretrain", {"JAX_PLATFORMS": "cpu"})
    with pytest.raises(UserError, match="SLURM started 4 processes, but the command pretrain runs"):
        refuse_several("pretrain", SRUN)
