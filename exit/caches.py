"""What is kept between processes, so that it need not be made again: exact tables and compiled programs."""

import hashlib
import os
import platform
import warnings
from pathlib import Path

import jax

_MAX_BYTES = 512 << 20
"""Compiled programs that are kept; of more, those not used for longest go."""

_MIN_SECONDS = 0.3
"""What takes less to compile is not worth keeping."""


def cache_directory() -> Path:
    """XIT_CACHE_DIR, else XDG_CACHE_HOME/xit, else ~/.cache/xit."""
    if own := os.environ.get("XIT_CACHE_DIR"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "xit"
    return Path.home() / ".cache" / "xit"


_folder: Path | None = None


def programs_folder() -> Path | None:
    """Where compiled programs are kept; None where they are not."""
    return _folder


def keep_compiled_programs() -> None:
    """Compile nothing twice: programs are kept on disk, and taken from there by later processes.

    Where they cannot be written or read, or are damaged, programs are compiled as if nothing were kept. Call
    it before anything is compiled. Where JAX_COMPILATION_CACHE_DIR says so, they are kept there.
    """
    global _folder
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        _folder = Path(chosen)
        return
    # Programs are of one kind of processor; homes may be shared by several.
    folder = cache_directory() / "compiled" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _drop_oldest(folder)
    except OSError:
        return
    _folder = folder
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _MIN_SECONDS)
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")


def _processor() -> str:
    """A short name for what this processor can do, and for the versions that compile for it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    described = [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    name = "\n".join([platform.machine(), jax.__version__, *(described[:2] or lines[:1])])
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _drop_oldest(folder: Path) -> None:
    """Makes room for new programs."""
    entries = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder.iterdir())
    excess = sum(size for _, size, _ in entries) - _MAX_BYTES
    for _, size, path in entries:
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size
