"""How the commands of the documentation are run by the tests: as they stand, in small, or not, and why not.

In small: with fewer iterations, positions or calls. All commands are held against the options, too.
"""

TINY = (
    "--set num_iterations=1 --set self_play.num_games=8 --set learner.num_updates=1 "
    "--set learner.batch_size=8 --set evaluation.exact=false"
)

IN_SMALL = {
    "xit train chomp.py": f"xit train chomp.py {TINY}",
    "xit bench runs/chomp --budgets 0,8": (
        "xit bench runs/chomp --budgets 0,8 --max-positions 64 --max-reached 0"
    ),
    "xit bench runs/tic_tac_toe": "xit bench runs/tic_tac_toe --max-positions 64 --max-reached 0",
    "xit bench runs/tic_tac_toe --budgets 0,4,64": (
        "xit bench runs/tic_tac_toe --budgets 0,4 --max-positions 64 --max-reached 0"
    ),
    "xit frontier runs/tic_tac_toe": (
        "xit frontier runs/tic_tac_toe --budgets 0,4 --max-positions 64 --calls 0"
    ),
    "xit coherence runs/tic_tac_toe": "xit coherence runs/tic_tac_toe --depth 1 --max-positions 64",
    "xit foresee runs/tic_tac_toe": "xit foresee runs/tic_tac_toe --states 64 --max-positions 64",
    "xit match runs/tic_tac_toe --budget 64": "xit match runs/tic_tac_toe --budget 64 --games 2",
    "xit compile runs/tic_tac_toe --to tree": "xit compile runs/tic_tac_toe --to tree --max-nodes 3",
    "xit compile runs/tic_tac_toe --to tree --attempts 8": (
        "xit compile runs/tic_tac_toe --to tree --attempts 2 --max-nodes 3"
    ),
}
"""What is run in the place of a command."""

_TRAINS = "trains for minutes; `xit train` is run on the page about a game of one's own"
_RAY = "needs Ray or a cluster; tests/test_fleet_train.py and tests/test_fleet_bench.py use actors"
_SERVES = "serves until it is stopped; tests/test_package.py serves"
_LARGE = "takes minutes or gigabytes"
_RUN = "needs a run that has been trained for minutes; "

NOT_RUN = {
    "xit train connect_four_4x4 --fleet auto": _RAY,
    "xit sweep tic_tac_toe --set network.width=32,64 --seeds 3": _TRAINS,
    "xit train tic_tac_toe": _TRAINS,
    "xit play connect_four": "tests/test_package.py plays it",
    "xit bench connect_four_4x4 --budgets 0": "tests/test_shipped.py measures it",
    "xit serve": _SERVES,
    "xit serve connect_four": _SERVES,
    "xit serve runs/tic_tac_toe connect_four": _SERVES,
    "xit report runs/tic_tac_toe 'runs/tic_tac_toe-sweep/*'": (
        "the shell writes the names; tests/test_report.py reports"
    ),
    "xit recommend connect_four --deadline-ms 20": "a library takes minutes; see tests/test_frontier.py",
    "xit probe runs/bandit_history_2_20": _RUN + "tests/test_histories.py probes",
    "xit solve connect_four_4x5": _LARGE,
    "xit solve connect_four_5x5 --max-memory 4GB": _LARGE,
    "xit train bandit_2_20": _TRAINS,
    "xit train bandit_history_2_20": _TRAINS,
    "xit bench runs/bandit_history_2_20 --budgets 0,16,64": _RUN + "tests/test_histories.py measures one",
    "xit train bandit_history_2_20 --set network=TransformerConfig --run-dir runs/attending": _TRAINS,
    "xit probe runs/bandit_history_2_20 --longer bandit_history_2_30 --json probe.json": (
        _RUN + "tests/test_histories.py probes"
    ),
    "xit compile runs/bandit_2_20 --to tree --frontier": "grows for a minute; see tests/test_cli_compile.py",
    "xit train connect_four_4x4 --set snapshots=true": _TRAINS,
    (
        "xit train connect_four --set num_iterations=600 --set learner.weight_decay=1 "
        "--set learner.forgetting=0"
    ): _TRAINS,
    "xit frontier runs/connect_four_4x4": _RUN + "tests/test_frontier.py measures one",
    "xit frontier runs/connect_four_4x4 --snapshots --elo 64": _RUN + "tests/test_frontier.py rates one",
    "xit recommend runs/connect_four_4x4 --max-regret 0.01": _RUN + "tests/test_frontier.py recommends",
    "xit recommend runs/connect_four_4x4 --deadline-ms 20": _RUN + "tests/test_frontier.py recommends",
    "xit recommend runs/connect_four_4x4 --max-mean-simulations 100": _RUN
    + "tests/test_frontier.py recommends",
    "xit coherence runs/connect_four_4x4": _RUN + "README's command is run",
    "xit train connect_four --fleet auto --actors 4": _RAY,
    "xit train connect_four --fleet 10.0.0.5:6379 --actors 64": _RAY,
    "xit train connect_four --fleet ray://10.0.0.5:10001": _RAY,
    "xit sweep connect_four_4x4 --set network.width=128,256 --seeds 3 --fleet auto": _RAY,
    "xit bench runs/connect_four --fleet 10.0.0.5:6379": _RAY,
    "xit frontier runs/connect_four_4x4 --snapshots --fleet auto": _RAY,
    "xit train connect_four --run-dir '$SCRATCH/connect_four' --fleet '$head:$port' --actors 120": _RAY,
    "xit train connect_four --run-dir /runs/connect_four --fleet '$RAY_ADDRESS' --actors 56": _RAY,
}
"""Why a command is only held against the options that there are."""

TYPED = {
    "xit play runs/tic_tac_toe": "budget 16\n4\nquit\n",
    "xit play runs/chomp": "6\nquit\n",
}
"""What is typed at a command that asks."""
