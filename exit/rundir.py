"""A run's directory: whose it is, under which configuration, and that one process at a time trains in it."""

import contextlib
import dataclasses
import fcntl
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from exit.catalog import did_you_mean, trained_names
from exit.errors import UsageError, UserError

FORMAT = 1
"""Version of the layout of a run directory; raised when older ones can no longer be read."""

_FILE = "config.json"
_REMAINS = ("checkpoints", "metrics.jsonl")


class RunInfo(NamedTuple):
    """What a run directory says of itself.

    Attributes:
      config_name: name or path of the configuration.
      overrides: `a.b=value` settings applied to it.
      settings: every field of the configuration, by dotted path.
      commit: of the source that began it, as `commit` tells it; None where that is unknown.
    """

    config_name: str
    overrides: tuple[str, ...]
    settings: dict[str, Any]
    commit: str | None = None


def settings_of(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields of nested dataclasses by dotted path, in JSON's types, and the class of each."""
    found: dict[str, Any] = {f"{prefix}type": type(config).__name__}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found.update(settings_of(value, f"{prefix}{field.name}."))
        else:
            found[f"{prefix}{field.name}"] = list(value) if isinstance(value, tuple) else value
    # Constants of a game's class are no fields, but a game of another version is another game.
    for name in ("name", "version"):
        if hasattr(config, name):
            found[f"{prefix}{name}"] = getattr(config, name)
    return found


@contextlib.contextmanager
def claim(run_dir: Path, config: Any, *, config_name: str, overrides: tuple[str, ...]) -> Iterator[None]:
    """Hold a run directory for training; makes it if it is not there.

    Raises:
      UsageError: it holds a run of another configuration or version, or one that lost its description.
      UserError: it cannot be written, or another process trains in it.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = (run_dir / "lock").open("w")
    except OSError as error:
        raise UserError(
            f"cannot write in run directory {run_dir} ({error.strerror}); give another with --run-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(
                f"another process trains in {run_dir}; wait for it or give another --run-dir"
            ) from error
        started = [name for name in _REMAINS if _holds_something(run_dir / name)]
        if holds_a_run(run_dir):
            require_settings(run_dir, read_info(run_dir), config)
        elif started:
            raise UsageError(
                f"{run_dir} has {started[0]} of a run but no {_FILE}; restore it or give another --run-dir"
            )
        else:
            _write(run_dir, RunInfo(config_name, overrides, settings_of(config), commit()))
        yield


def holds_a_run(run_dir: Path) -> bool:
    """Whether a run was begun there that has something to lose."""
    return (run_dir / _FILE).exists() and any(_holds_something(run_dir / name) for name in _REMAINS)


def _holds_something(path: Path) -> bool:
    """Whether a folder has an entry or a file a byte; before that a run has nothing to lose."""
    return any(path.iterdir()) if path.is_dir() else path.exists() and path.stat().st_size > 0


def read_info(run_dir: Path) -> RunInfo:
    """What the directory says of its run.

    Raises:
      UsageError: it holds no run, or one of another version.
    """
    path = run_dir / _FILE
    try:
        stored = json.loads(path.read_text())
        version = stored["format"]
        # Only then the rest, which another version may call otherwise.
        info = _info_of(stored) if version == FORMAT else None
    except FileNotFoundError as error:
        raise UsageError(_no_run(run_dir)) from error
    except NotADirectoryError as error:
        raise UsageError(
            f"{run_dir} is no directory of a run; give one, or, where an agent is asked for, the .npz file "
            "that `xit export` makes of it"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is damaged or no file of a run; restore it or train in another directory"
        ) from error
    if info is None:
        raise UsageError(
            f"{run_dir} was written by another version of xit (layout {version}, this one reads {FORMAT}); "
            "train in another --run-dir, or use the version that wrote it"
        )
    return info


def run_meant(path: Path) -> Path | None:
    """The run in `runs` that a path to nothing was meant for; None where there is none."""
    meant = Path("runs") / path
    return meant if not path.exists() and (meant / _FILE).exists() else None


def _no_run(run_dir: Path) -> str:
    """What to say of a directory without a run: where runs are that may have been meant."""
    inside = sorted(path.parent.name for path in run_dir.glob(f"*/{_FILE}"))
    if inside:
        return (
            f"{run_dir} is no run itself, but {inside[0]} in it is one (of {len(inside)}); give {run_dir}/"
            f"{inside[0]}, or several such directories to a command that takes them"
        )
    if (meant := run_meant(run_dir)) is not None:
        return f"{run_dir} holds no run (no {_FILE}); did you mean {meant}?"
    if str(run_dir) in trained_names():
        return (
            f"{run_dir} is an agent that comes with xit, without the run that made it; give the directory of "
            f"a run, such as `xit train {run_dir}` makes"
        )
    beside = [path.parent.name for path in run_dir.parent.glob(f"*/{_FILE}")]
    advice = f"`xit train CONFIG --run-dir {run_dir}` makes one"
    return f"{run_dir} holds no run (no {_FILE}){did_you_mean(run_dir.name, beside, advice)}"


def _info_of(stored: dict[str, Any]) -> RunInfo:
    """The description from JSON; raises ValueError or KeyError where it is none."""
    name, overrides, settings = stored["config"], stored["overrides"], stored["settings"]
    if not (isinstance(name, str) and isinstance(overrides, list) and isinstance(settings, dict)):
        raise ValueError("fields of other types than were written")
    return RunInfo(name, tuple(overrides), settings, stored.get("commit"))


def commit() -> str | None:
    """The commit of the source, with a mark if it was changed since; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def require_settings(run_dir: Path, info: RunInfo, config: Any, parts: tuple[str, ...] = ("",)) -> None:
    """Raise UsageError unless the configuration has the settings of the run, no more and no less.

    Args:
      parts: beginnings of the dotted paths that count, for one who only reads the run; all of them if
        left out, for one who trains in it.
    """
    remedy = (
        "give the settings it was started with, or another --run-dir, there with "
        "--set start_from=FILE to begin with what `xit export` makes of this run"
        if parts == ("",)
        else f"put the configuration {info.config_name} or its game back as it was, or train anew"
    )
    settings = json.loads(json.dumps(settings_of(config)))
    for path in [*info.settings, *(path for path in settings if path not in info.settings)]:
        if not path.startswith(parts):
            continue
        trained, asked = info.settings.get(path), settings.get(path)
        # A setting that is None may be missing: older runs did not have it yet.
        if trained != asked and (path not in info.settings or path not in settings):
            raise UsageError(
                f"{run_dir} was written by another version of xit or of its configuration ({path} is not in "
                "both); train in another --run-dir, or use the version that wrote it"
            )
        if trained != asked:
            raise UsageError(f"{run_dir} holds a run with {path}={trained}, not {asked}; {remedy}")


def _write(run_dir: Path, info: RunInfo) -> None:
    """Write the description of the run, all or nothing."""
    stored = {
        "format": FORMAT,
        "config": info.config_name,
        "overrides": list(info.overrides),
        "settings": info.settings,
        "commit": info.commit,
    }
    partial = run_dir / f"{_FILE}.partial"
    try:
        partial.write_text(json.dumps(stored, indent=1) + "\n")
        partial.replace(run_dir / _FILE)
    except OSError as error:
        raise UserError(
            f"cannot write {run_dir / _FILE} ({error.strerror}); give another --run-dir"
        ) from error
