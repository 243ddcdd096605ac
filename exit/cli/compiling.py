"""`xit compile`: an agent as a fixed program, certified in every state."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.options import agent_argument, capacity_option, debug_option, json_option, manual
from exit.errors import UsageError

if TYPE_CHECKING:
    from exit.agent import Agent
    from exit.compile import Artifact, Subject
    from exit.solve import Exact

_FORMATS = ("table", "tree", "stablehlo", "onnx")
_NETWORKS = ("stablehlo", "onnx")
_FRONTIER = "compile.frontier"
_MAX_TABLE_BYTES = 256 << 20


@click.command(
    "compile",
    epilog=manual(
        "xit compile runs/tic_tac_toe --to tree --max-nodes 99 --out policy.py",
        "xit compile runs/tic_tac_toe --to onnx",
        reads="AGENT, and exact values where the game is solved",
        writes="the program to --out, its header and certificate to --json",
    ),
)
@agent_argument
@click.option("--to", "format_", type=click.Choice(_FORMATS), required=True, help="What to compile to.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file; a tree writes Python there and JSON beside it. Default: `policy` in the run directory.",
)
@click.option(
    "--max-nodes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Tests and leaves of a tree at most. Default: as many as it takes to give nothing away.",
)
@click.option(
    "--agent-budget",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Simulations of the agent that a table or a tree is made from. Default: 0, the reflex.",
)
@click.option(
    "--everywhere",
    is_flag=True,
    help="A tree is to be right in every state, not only in those that its own play can lead to.",
)
@click.option(
    "--attempts",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Trees to grow and prune, of which the best is kept. Default: 1.",
)
@click.option("--frontier", is_flag=True, help="Trees of rising size: what each gives away, and a picture.")
@capacity_option
@json_option
@debug_option
def compile_(
    source: Path,
    format_: str,
    out: Path | None,
    max_nodes: int | None,
    agent_budget: int,
    everywhere: bool,
    attempts: int,
    frontier: bool,
    max_simulations: int | None,
    json_path: Path | None,
) -> None:
    """Compile AGENT into a program that needs neither search nor training code, and certify it exactly.

    AGENT is a run directory, a file that `xit export` wrote, or the name of an agent that comes with xit. A
    table holds the move in every state; a tree is Python source of if and else, by the game's own statistics;
    stablehlo and onnx hold the network. Each says in its header what it gives away over all states.
    """
    _check_options(format_, max_nodes, agent_budget, everywhere, frontier)
    from exit.cli.loading import load_agent
    from exit.compile import FORMATS, require_writable

    if format_ == "onnx":
        from exit.compile.onnx import require_onnx

        require_onnx()
    agent = load_agent(source, [agent_budget], max_simulations)
    folder = console.folder_of(agent.source)
    ending = ".png" if frontier else FORMATS[format_]
    path = out or folder / f"{_FRONTIER if frontier else 'policy'}{ending}"
    require_writable(path)
    console.prepare_json(json_path)
    subject = _subject(agent, agent_budget)
    if frontier:
        _run_frontier(_required(agent, subject), path, everywhere, json_path)
        return
    artifact = _compiled(agent, subject, format_, path, max_nodes, agent_budget, everywhere, attempts)
    _show(artifact)
    figures = artifact.header | {"paths": list(map(str, artifact.paths)), "command": console.command_line()}
    console.write_json(json_path, figures)


def _check_options(
    format_: str, max_nodes: int | None, agent_budget: int, everywhere: bool, frontier: bool
) -> None:
    """Refuses options that mean nothing for a format."""
    given = {"--max-nodes": max_nodes is not None, "--everywhere": everywhere, "--frontier": frontier}
    for option, is_given in given.items():
        if is_given and format_ != "tree":
            raise UsageError(f"{option} is for trees; leave it out, or give --to tree")
    if frontier and max_nodes is not None:
        raise UsageError("--frontier tries trees of many sizes; leave --max-nodes out")
    if agent_budget and format_ in _NETWORKS:
        raise UsageError(f"{format_} holds the network alone, without search; leave --agent-budget out")


def _subject(agent: "Agent", budget: int) -> "Subject | None":
    """What the agent does in all states; None where they cannot be listed."""
    from exit.compile import subject_of

    exact = _exact(agent)
    if exact is None or exact.table is None:
        return None
    with console.Progress("asking the agent") as progress:
        return subject_of(
            agent,
            exact,
            budget,
            progress_fn=lambda done, total: progress.update(f"{done:,} of {total:,} states", done / total),
        )


def _exact(agent: "Agent") -> "Exact | None":
    from exit.cli.exact import load_table
    from exit.solve import TooLarge, exact_of_table

    try:
        return exact_of_table(load_table(agent.game, max_bytes=_MAX_TABLE_BYTES))
    except TooLarge as error:
        console.warn(f"no certificate: {error}")
        return None


def _required(agent: "Agent", subject: "Subject | None") -> "Subject":
    from exit.compile import not_enumerable

    if subject is None:
        raise not_enumerable(agent.game)
    return subject


def _compiled(
    agent: "Agent",
    subject: "Subject | None",
    format_: str,
    path: Path,
    max_nodes: int | None,
    budget: int,
    everywhere: bool,
    attempts: int,
) -> "Artifact":
    from exit import compile as room

    if format_ == "table":
        return room.to_table(_required(agent, subject), path)
    if format_ in _NETWORKS:
        return (room.to_onnx if format_ == "onnx" else room.to_stablehlo)(agent, subject, path)
    with console.Progress("growing trees") as progress:
        if subject is None:
            progress.update("asking the agent where its trees lead")
            return room.to_sampled_tree(agent, budget, path, max_nodes=max_nodes)
        return room.to_tree(
            subject,
            path,
            max_nodes=max_nodes,
            everywhere=everywhere,
            num_attempts=attempts,
            round_fn=lambda done, tree, lost: progress.update(
                f"round {done}: {tree.num_nodes:,} nodes, {lost:.4g} given away; pruning follows"
            ),
        )


def _run_frontier(subject: "Subject", path: Path, everywhere: bool, json_path: Path | None) -> None:
    from exit.compile import tree_frontier
    from exit.plots import plot_compiling

    with console.Progress("trees of rising size") as progress:
        figures, _ = tree_frontier(
            subject,
            everywhere=everywhere,
            tree_fn=lambda done, total: progress.update(f"{done} of {total} sizes", done / total),
        )
    rows = [(f"tree of {row['nodes']}", row) for row in figures["trees"]]
    rows.append((f"agent, {figures['network']['parameters']:,} parameters", figures["network"]))
    console.show_table(
        f"{figures['game']}: what programs give away, over all {len(subject.keys):,} states",
        ("program", "mistakes", "mean regret", "exploitability", "of the value", "certified", "as the agent"),
        [[name, *_cells(row)] for name, row in rows],
    )
    console.write_json(json_path, figures | {"command": console.command_line()})
    console.show_picture(lambda: plot_compiling(figures, path))


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['mistakes']:,}",
        f"{row['mean_regret']:.5f}",
        f"{row['exploitability']:.5g}",
        "-" if row["lost_share"] is None else f"{100 * row['lost_share']:.4f}%",
        "yes" if row["certified"] else "no",
        console.percent(row["fidelity"]),
    ]


def _show(artifact: "Artifact") -> None:
    header = artifact.header
    size = ", ".join(f"{count:,} {what}" for what, count in header["size"].items())
    console.say(f"{header['format']} of {header['game']}: {size}")
    found = header["certificate"]
    if found is None:
        console.say("not certified: the states of the game cannot all be listed here")
    else:
        agreement = console.percent(found["fidelity"])
        verdict = "certified from every seat" if found["certified"] else "not certified"
        everywhere = " (--everywhere grows a tree for these too)" if header["format"] == "tree" else ""
        console.say(
            f"own play: {console.counted(found['met'], 'state')}, "
            f"exploitability {found['exploitability']:.5g}, {verdict}"
        )
        console.say(
            f"all states, also those it never meets{everywhere}: {found['mistakes']:,} mistakes in "
            f"{found['states']:,} ({found['illegal']:,} illegal), mean regret {found['mean_regret']:.5g}; "
            f"as the agent in {agreement}"
        )
        if found["return"] is not None:
            share = "" if found["lost_share"] is None else f" ({100 * found['lost_share']:.4f} % lost)"
            console.say(f"exact return {found['return']:.6f} of {found['value']:.6f}{share}")
    for path in artifact.paths:
        console.say(f"written: {path}, {path.stat().st_size:,} bytes")
