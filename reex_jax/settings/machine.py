"""Where a command runs: with which processes, and what it keeps compiled; changes no number."""

from dataclasses import dataclass

from reex_jax.errors import UserError
from reex_jax.settings.checks import filled_path, integer, or_empty, text
from reex_jax.settings.fields import Settings, setting

AUTO = "auto"


@dataclass(frozen=True)
class Machine(Settings):
    """`machine.*` of every command that computes on devices."""

    compile_cache: str = setting(
        AUTO,
        "folder that keeps compiled programs; 'auto': in the user's cache folder; '': none",
        or_empty(filled_path),
        counted=False,
    )
    coordinator: str = setting(
        "", "host:port of process 0; '': as SLURM, Open MPI or a TPU pod say", text, counted=False
    )
    processes: int = setting(
        0,
        "how many share the run; 0: as SLURM or Open MPI say",
        integer(0),
        counted=False,
    )
    process: int = setting(
        -1,
        "which of them this is, from 0; -1: as SLURM or Open MPI say",
        integer(-1),
        counted=False,
    )

    def check_together(self) -> None:
        """Refuses half of what processes need to find each other."""
        host, _, port = self.coordinator.rpartition(":")
        if self.coordinator and not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise UserError(
                f"machine.coordinator is {self.coordinator!r}; write host:port of process 0, for "
                "example 10.0.0.1:1234"
            )
        if self.processes and self.process >= self.processes:
            raise UserError(
                f"machine.process is {self.process}, but machine.processes is {self.processes}; "
                f"it must lie in 0..{self.processes - 1}"
            )
        if self.processes > 1 and not self.coordinator:
            raise UserError(
                f"machine.processes is {self.processes}, but machine.coordinator is empty; give "
                "host:port of process 0, the same on every host"
            )
