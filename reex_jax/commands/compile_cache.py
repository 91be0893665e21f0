"""Compiled programs kept on disk, so that the second start of a command compiles nothing."""

import hashlib
import logging
import os
import platform
from pathlib import Path

from reex_jax.errors import UserError
from reex_jax.settings.machine import AUTO

_MOST_BYTES = 4 * 2**30
_log = logging.getLogger(__name__)


def use_compile_cache(where: str) -> None:
    """Has JAX keep what it compiles from now on.

    Args:
        where: a folder, "auto" for one in the user's cache folder (unless JAX was told one by its
            own variable JAX_COMPILATION_CACHE_DIR), or "" for none at all.

    Raises:
        UserError: a folder that was named cannot be made.
    """
    import jax

    if not where:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if where == AUTO and getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    folder = default_folder() if where == AUTO else Path(where)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if where != AUTO:
            raise UserError(
                f"machine.compile_cache: {folder} cannot be made ({error.strerror}); name another "
                "folder, or '' for none"
            ) from error
        _log.warning("%s cannot be made (%s); programs are compiled anew", folder, error.strerror)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    if where == AUTO:
        # Old programs make room for new ones; several runs may then also share the folder safely.
        jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)


def default_folder() -> Path:
    """In the user's cache folder, one for each sort of processor.

    Home folders are shared in clusters, and what was compiled for one processor may not run on
    another.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(base) if base.startswith("/") else Path.home() / ".cache"
    digest = hashlib.sha256(_processor().encode()).hexdigest()[:8]
    return home / "reex_jax" / "compiled" / f"{platform.machine()}-{digest}"


def _processor() -> str:
    """What tells this sort of processor from others."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    told = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return "\n".join(sorted(set(told))) or platform.processor()
