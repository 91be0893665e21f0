"""Puts the files of experiments/ into the package; all else stands in pyproject.toml.

In the sources they lie beside the package, where people look for them and change them. An installed
reex_jax has them as reex_jax/experiments/, where `--config=scenes_c` finds them.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

EXPERIMENTS = Path(__file__).parent / "experiments"


class BuildWithExperiments(build_py):
    """Copies the package, and experiments/ into it."""

    def run(self) -> None:
        """Builds; an editable installation uses the sources as they lie."""
        super().run()
        if not self.editable_mode:
            for path in sorted(EXPERIMENTS.glob("*.py")):
                target = Path(self.build_lib) / "reex_jax" / "experiments" / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(cmdclass={"build_py": BuildWithExperiments})
