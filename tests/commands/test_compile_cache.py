"""Where compiled programs are kept, and that only commands keep them."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from reex_jax.commands.compile_cache import default_folder, use_compile_cache
from reex_jax.errors import UserError

NAMES = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
    "jax_compilation_cache_max_size",
)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def config(monkeypatch, tmp_path):
    """JAX's configuration without a folder; put back at the end."""
    before = {name: getattr(jax.config, name) for name in NAMES}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    jax.config.update("jax_compilation_cache_dir", None)
    yield jax.config
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_users_cache_folder_is_the_default(config, tmp_path):
    use_compile_cache("auto")
    folder = Path(config.jax_compilation_cache_dir)
    assert folder == default_folder() and folder.is_dir()
    assert folder.parent == tmp_path / "cache" / "reex_jax" / "compiled"
    assert config.jax_compilation_cache_max_size > 0


def test_without_the_variable_it_lies_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert default_folder().is_relative_to(Path.home() / ".cache")


def test_another_folder_may_be_named_or_none(config, tmp_path):
    use_compile_cache(str(tmp_path / "own"))
    assert config.jax_compilation_cache_dir == str(tmp_path / "own")
    use_compile_cache("auto")  # whoever told JAX itself is heard
    assert config.jax_compilation_cache_dir == str(tmp_path / "own")
    use_compile_cache("")
    assert not config.jax_enable_compilation_cache


def test_a_folder_that_cannot_be_is_refused_only_if_it_was_named(config, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UserError, match=r"machine\.compile_cache: .* cannot be made"):
        use_compile_cache(str(file / "folder"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    use_compile_cache("auto")
    assert config.jax_compilation_cache_dir is None


def test_the_package_alone_keeps_nothing(tmp_path):
    code = (
        "import jax, reex_jax, reex_jax.commands.start; reex_jax.Adapter, reex_jax.load_clip;"
        "assert jax.config.jax_compilation_cache_dir is None"
    )
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert not list(tmp_path.iterdir())
