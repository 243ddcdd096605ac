"""`xit coherence`: where an agent's network disagrees with itself."""

from pathlib import Path
from typing import Any

import click

from exit.cli import console
from exit.cli.options import AgentPath, agent_argument, debug_option, json_option, manual

_NUM_BOARDS = 3


@click.command(
    epilog=manual(
        "xit coherence runs/tic_tac_toe --depth 2",
        reads="AGENT, and exact values of its game",
        writes="coherence.json and coherence.png in the run directory "
        "(below runs/ for an agent that is a file)",
    )
)
@agent_argument
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="Moves to look ahead. Default: 3, or what is cheap.",
)
@click.option(
    "--ensemble",
    multiple=True,
    type=AgentPath(),
    metavar="AGENT",
    help="Another agent of the game, to measure how far the two disagree. May be repeated.",
)
@click.option(
    "--max-positions",
    type=click.IntRange(min=2),
    metavar="N",
    help="Critical positions to measure on; a sample if there are more. Default: 4096.",
)
@json_option
@debug_option
def coherence(
    source: Path,
    depth: int | None,
    ensemble: tuple[Path, ...],
    max_positions: int | None,
    json_path: Path | None,
) -> None:
    """Hold the values of AGENT's network against their own backups, and both against the truth.

    Where a state's value and that of its successors do not fit, one of them is wrong.
    """
    from exit.agent import Agent
    from exit.cli.exact import load_exact
    from exit.coherence_report import coherence_report
    from exit.frontier import MAX_STATES
    from exit.plots import plot_coherence

    agent, *others = (Agent.load(each, warn_fn=console.warn) for each in (source, *ensemble))
    console.prepare_json(json_path)
    exact = load_exact(agent.game)
    with console.Progress("measuring") as progress:
        figures = coherence_report(
            agent,
            exact,
            max_depth=depth,
            ensemble=others,
            max_states=max_positions or MAX_STATES,
            progress_fn=progress.update,
        )
    figures["provenance"]["command"] = console.command_line()
    _show(figures)
    folder = console.folder_of(agent.source)
    console.keep_figures(folder, "coherence", figures, json_path)
    console.show_picture(lambda: plot_coherence(figures, folder / "coherence.png"))


def _show(figures: dict[str, Any]) -> None:
    control = [row["mean_abs_value_residual"] for row in figures["control"]["depths"]]
    console.show_table(
        f"{figures['game']}: {console.counted(figures['positions']['all']['count'], 'position')} "
        f"({figures['positions']['all']['kind']}), mean distances in reward units",
        (
            "depth",
            "value to backup",
            "value to truth",
            "backup to truth",
            "prior to improved",
            "a value of 0",
        ),
        [
            [
                str(row["depth"]),
                *(f"{row[name]:.4f}" for name in ("mean_abs_value_residual", "value_mae", "backup_mae")),
                f"{row['mean_policy_residual']:.4f} nats",
                f"{nothing:.4f}",
            ]
            for row, nothing in zip(figures["depths"], control, strict=True)
        ],
    )
    for kind, found in figures["detection"].items():
        which = {"all": "all critical states", "own": "critical states of the agent's own games"}[kind]
        console.say(f"{which}: {found['mistakes']:,} mistakes of the reflex in {found['count']:,}")
        if not found["measures"]:
            every = kind == "all" and figures["positions"]["all"]["kind"] == "critical, all"
            remedy = "take an agent from before, such as a snapshot"
            if not every:
                remedy = f"measure on more (--max-positions), or {remedy}"
            console.say(f"  so there is nothing to tell from the rest; {remedy}")
            continue
        console.show_table(
            "telling them from the rest",
            ("measure", "evaluations", "AUC", "95% interval", "AUPRC"),
            [
                [
                    row["measure"],
                    str(row["evaluations"]),
                    f"{row['auc']:.3f}",
                    "{:.3f} to {:.3f}".format(*row["ci95"]["auc"]),
                    f"{row['auprc']:.3f}",
                ]
                for row in found["measures"]
            ],
        )
    console.say("where it disagrees with itself most")
    for state in figures["worst"][:_NUM_BOARDS]:
        console.say()
        console.say(state["board"])
        backups = ", ".join(f"{backup:+.3f}" for backup in state["backups"])
        console.say(f"value {state['value']:+.3f}; backed up {backups}; exact {state['exact']:+.4g}")
        console.show_table(
            "",
            ("move", "prior", *(f"depth {k + 1}" for k in range(len(state["backups"]))), "exact"),
            [
                [
                    each["name"],
                    console.percent(each["prior"]),
                    *(f"{backup:+.3f}" for backup in each["backups"]),
                    f"{each['exact']:+.4g}",
                ]
                for each in state["actions"]
            ],
        )
