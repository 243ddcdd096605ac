"""`xit export`: a run's agent as one small file."""

from pathlib import Path

import click

from exit.cli import console
from exit.cli.options import agent_argument, debug_option, manual


@click.command(
    epilog=manual(
        "xit export runs/tic_tac_toe tic_tac_toe.npz",
        "xit export runs/connect_four_gpu half.npz --bfloat16",
        reads="a checkpoint or snapshot of AGENT",
        writes="FILE",
    )
)
@agent_argument
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--step",
    type=click.IntRange(min=0),
    metavar="N",
    help="Iteration of a kept checkpoint or snapshot. Default: the last.",
)
@click.option(
    "--bfloat16",
    is_flag=True,
    help="Round the parameters to bfloat16, which halves the file; computing stays as configured.",
)
@debug_option
def export(source: Path, file: Path, step: int | None, bfloat16: bool) -> None:
    """Write the agent of the run AGENT to FILE, a `.npz` of plain arrays that all commands take in its place.

    The game and the configuration are kept by name, not copied.
    """
    from exit.agent import Agent

    agent = Agent.load(source, step=step, warn_fn=console.warn)
    path = agent.save(file, bfloat16=bfloat16)
    how = ", parameters rounded to bfloat16" if bfloat16 else ""
    console.say(f"iteration {agent.step} of {source}: {path}, {path.stat().st_size / 1e6:.2f} MB{how}")
