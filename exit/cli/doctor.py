"""`xit doctor`: what is installed here, what it runs on, and what could be added."""

import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import debug_option, json_option, manual

_LIBRARIES = ("jax", "jaxlib", "numpy", "flax", "optax", "orbax-checkpoint", "mctx", "fastapi", "uvicorn")

_EXTRAS = {
    "bitbully": ("bitbully", "exact values of 6x7 Connect Four"),
    "pgx": ("pgx", "the games of Pgx"),
    "openspiel": ("open_spiel", "opponents for `xit match`"),
    "onnx": ("onnx", "networks without JAX, `xit compile --to onnx`"),
    "fleet": ("ray", "actors on other machines, `--fleet`"),
}
"""Distribution and use of what can be installed beside."""

_MEGABYTE = 1e6


@click.command(
    epilog=manual(
        "xit doctor --json doctor.json",
        reads="what is installed, the devices, and the cache",
        writes="what was found to stdout and to --json",
    )
)
@json_option
@debug_option
def doctor(json_path: Path | None) -> None:
    """Show versions, devices, solvers and extras, and what to install for what is missing."""
    console.prepare_json(json_path)
    found = {
        "xit": importlib.metadata.version("xit"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "devices": _devices(),
        "memory_mb": _memory_mb(),
        "cache": _cache(),
        "extras": {name: _version(distribution) for name, (distribution, _) in _EXTRAS.items()},
        "agents": _agents(),
        "tables": _tables(),
    }
    found["advice"] = _advice(found)
    _show(found)
    console.write_json(json_path, found)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, Any]:
    import jax

    try:
        devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.local_devices()]
        error = None
    except RuntimeError as failure:
        devices, error = [], str(failure).splitlines()[0]
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return {
        "backend": jax.default_backend() if devices else None,
        "list": devices,
        "cores": cores,
        "error": error,
    }


def _memory_mb() -> int:
    from exit.memory import available_bytes

    return int(available_bytes() / _MEGABYTE)


def _cache() -> dict[str, Any]:
    """Where tables and programs are kept, whether that can be written, and how much is there."""
    from exit.caches import cache_directory

    folder = cache_directory()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"path": str(folder), "writable": os.access(there, os.W_OK), "mb": round(size / _MEGABYTE, 1)}


def _agents() -> list[str]:
    from exit.catalog import trained_names

    return trained_names()


def _tables() -> list[str]:
    """Games whose exact values are on the disk already."""
    from exit.caches import cache_directory

    folder = cache_directory() / "tables"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _advice(found: dict[str, Any]) -> list[str]:
    """What to do about what is missing or wrong, one sentence each."""
    advice = [
        f"pip install 'xit[{name}]' adds {use}"
        for name, (_, use) in _EXTRAS.items()
        if found["extras"][name] is None
    ]
    advice += [
        f"{name} is missing; reinstall xit: pip install --force-reinstall xit"
        for name, version in found["libraries"].items()
        if version is None
    ]
    if not found["cache"]["writable"]:
        advice.append(f"{found['cache']['path']} cannot be written; set XIT_CACHE_DIR to a folder that can")
    if found["devices"]["error"]:
        advice.append(
            f"JAX finds no device ({found['devices']['error']}); JAX_PLATFORMS=cpu uses the processor"
        )
    if found["devices"]["backend"] == "cpu" and Path("/dev/nvidia0").exists():
        advice.append("there is an NVIDIA GPU that JAX does not use; pip install 'xit[cuda]'")
    if sys.version_info >= (3, 14):
        advice.append("this Python is newer than those xit is tested with, 3.11 to 3.13")
    return advice


def _show(found: dict[str, Any]) -> None:
    console.say(f"xit {found['xit']}, Python {found['python']}, {found['platform']}")
    libraries = (f"{name} {version or 'missing'}" for name, version in found["libraries"].items())
    console.say(f"libraries   {', '.join(libraries)}")
    devices = found["devices"]
    cores = console.counted(devices["cores"], "core")
    console.say(f"devices     {', '.join(devices['list']) or devices['error']}; {cores}")
    console.say(f"memory      {found['memory_mb']:,} MB available")
    cache = found["cache"]
    console.say(
        f"cache       {cache['path']}, {cache['mb']:,} MB{'' if cache['writable'] else ', read-only'}"
    )
    console.say(f"agents      {', '.join(found['agents']) or 'none'}")
    console.say(f"tables      {', '.join(found['tables']) or 'none yet; `xit solve GAME` makes one'}")
    for name, version in found["extras"].items():
        console.say(f"extra       {name}: {version or 'not installed'}")
    for line in found["advice"] or ["nothing is missing"]:
        console.say(f"-> {line}")
