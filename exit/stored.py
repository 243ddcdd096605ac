"""Where an agent is kept: a run's directory, a file, or under a name that comes with the product."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from exit.catalog import did_you_mean, load_config, trained_agent, trained_names, with_overrides
from exit.checkpoint import WarnFn, restore, restore_latest, steps
from exit.errors import UsageError, UserError
from exit.foresight import Foresight, foresight_path, load_foresight
from exit.loop import RunConfig, acting_template
from exit.network import Params
from exit.portable import SUFFIX, load_portable, params_of, snapshot_iterations, snapshot_path
from exit.rundir import RunInfo, read_info, require_settings, run_meant

# The settings that decide how an agent plays; the others only decided how it was trained.
_ACTING = ("game.", "network.", "search.")


class Stored(NamedTuple):
    """What is kept of an agent; the attributes are those of `exit.agent.Agent`."""

    config: RunConfig
    params: Params
    step: int
    info: RunInfo
    source: Path
    foresight: Foresight | None


def stored(source: Path, step: int | None, warn_fn: WarnFn) -> Stored:
    """What is kept of an agent, of one iteration or the newest; arguments and errors as of `Agent.load`."""
    file = _file_of(source)
    if file is None:
        info = read_info(source)
        config = _config_of(source, info)
        found, params = _restored(source, info, config, step, warn_fn)
    else:
        if step is not None:
            raise UsageError(f"{file} holds one agent and no checkpoints; leave `step` out")
        portable = load_portable(file)
        info, found, source = portable.info, portable.step, file
        config = _config_of(source, info)
        params = params_of(portable, acting_template(config), file)
    params = jax.tree.map(jnp.asarray, params)
    foresight = _foresight_of(source, params, warn_fn) if step is None else None
    return Stored(config, params, found, info, source, foresight)


def require_agent(source: Path | str) -> None:
    """Raises UsageError where there plainly is no agent, before anything that takes long is begun."""
    if _file_of(Path(source)) is None:
        read_info(Path(source))


def _file_of(source: Path) -> Path | None:
    """The file that an agent is in; None if it is to be in a run's directory."""
    if source.suffix == SUFFIX:
        return source
    if source.exists() or len(source.parts) != 1:
        return None
    file = trained_agent(source.name)
    if file is None:
        names = trained_names()
        like = did_you_mean(source.name, names, f"there are {', '.join(names)}")
        if (meant := run_meant(source)) is not None:
            like = f"; did you mean {meant}?"
        raise UsageError(f"there is no run in {source}, and no agent of this name comes with xit{like}")
    return file


def _config_of(source: Path, info: RunInfo) -> RunConfig:
    """The configuration, found again by its name; UsageError if what decides how to play has changed."""
    config = with_overrides(load_config(info.config_name), info.overrides)
    require_settings(source, info, config, parts=_ACTING)
    return config


def _restored(
    run_dir: Path, info: RunInfo, config: RunConfig, step: int | None, warn_fn: WarnFn
) -> tuple[int, Params]:
    """Iteration and parameters of one checkpoint of a run, the newest that is whole if none is named."""
    template = {"acting": acting_template(config)}
    if step is None:
        found = restore_latest(run_dir, template, warn_fn=warn_fn, set_aside=False)
        if found is None:
            raise UsageError(
                f"{run_dir} has no checkpoint yet; `xit train {info.config_name} --run-dir {run_dir}` "
                "continues the run"
            )
        step, trees = found
    elif step in (kept := steps(run_dir)):
        trees = restore(run_dir, step, template)
    elif step in (snapshots := snapshot_iterations(run_dir)):
        path = snapshot_path(run_dir, step)
        return step, params_of(load_portable(path), acting_template(config), path)
    else:
        there = sorted({*kept, *snapshots})
        raise UsageError(f"{run_dir} has no checkpoint of iteration {step}; it keeps {there}")
    return step, trees["acting"]


def _foresight_of(source: Path, params: Params, warn_fn: WarnFn) -> Foresight | None:
    """What is kept beside the agent, if it is this agent's; what cannot be used is told and left out."""
    try:
        return load_foresight(foresight_path(source), params)
    except UserError as error:
        warn_fn(str(error))
        return None
