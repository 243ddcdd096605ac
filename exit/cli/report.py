"""`xit report`: learning curves and diagnostics of several runs, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exit.cli import console
from exit.cli.options import PicturePath, debug_option, json_option, manual

if TYPE_CHECKING:
    from exit.report import Group

_PICTURE = Path("runs") / "report.png"
STANDING = {
    "iterations": ("iteration", "{:.0f}".format, 1.0),
    "minutes": ("seconds", "{:.1f}".format, 1 / 60),
    "reflex": ("reflex_mistake_rate", console.percent, 1.0),
    "search": ("search_mistake_rate", console.percent, 1.0),
    "absorbed": ("amortized_depth", "{:.1f}".format, 1.0),
    "policy loss": ("policy_loss", "{:.3f}".format, 1.0),
    "value loss": ("value_loss", "{:.4f}".format, 1.0),
}
_LEARNING = {
    "rate": ("learning_rate", "{:.1e}".format, 1.0),
    "gradient": ("grad_norm", "{:.2f}".format, 1.0),
    "step": ("update_ratio", "{:.1e}".format, 1.0),
    "entropy": ("entropy", "{:.2f}".format, 1.0),
    "top weight": ("top_weight", "{:.2f}".format, 1.0),
    "overridden": ("overridden", console.percent, 1.0),
    "surprise": ("value_surprise", "{:.3f}".format, 1.0),
    "slope": ("value_slope", "{:.2f}".format, 1.0),
}
_EXAMPLES = {
    "proven": ("proven", console.percent, 1.0),
    "simulations": ("simulations", "{:.1f}".format, 1.0),
    "age": ("target_age", "{:.0f}".format, 1.0),
    "kept proven": ("replay_proven", console.percent, 1.0),
    "distinct": ("replay_distinct", console.percent, 1.0),
}
_TABLES = {
    "where they stand": STANDING,
    "their last iteration": _LEARNING,
    "its searches, and the replay": _EXAMPLES,
}
_LEGEND = """\
reflex, search: mistakes in a sample of critical positions. absorbed: simulations that the search of the
report before needed to be as good as the reflex became. rate: of learning. gradient: norm before clipping.
step: length of an update over that of the parameters. entropy: of the reflex, nats. top weight: of the
improved policy. overridden: search prefers another move than the reflex. surprise: distance of the network's
value from the search's. slope: of the line of value targets over the network's values, 1 where these are
calibrated, less where they go too far, more where not far enough. proven: positions that search solved. Of
the replay, age: iterations since an example was searched, mean; kept proven: examples that search has
solved; distinct: positions for each example, where replay.rarity tells them apart. Seeds that differ: mean
(least to greatest)."""


@click.command(
    epilog=manual(
        "xit report runs/connect_four_4x4 runs/narrow --out curves.png",
        reads="config.json and metrics.jsonl of every DIR, and what bench, frontier, coherence and foresee "
        "keep there",
        writes="the picture to --out, the page beside it, the last figures to --json",
    )
)
@click.argument(
    "run_dirs", metavar="DIR...", nargs=-1, required=True, type=click.Path(file_okay=False, path_type=Path)
)
@click.option(
    "--out",
    type=PicturePath(".html"),
    default=_PICTURE,
    metavar="FILE",
    help="The picture, a .png, .svg or .pdf; the page lies beside it, ending in .html. With FILE.html, the "
    f"page and FILE.png. Default: {_PICTURE}.",
)
@json_option
@debug_option
def report(run_dirs: tuple[Path, ...], out: Path, json_path: Path | None) -> None:
    """Draw the learning curves of the runs in DIR..., and show where each stands.

    Runs that differ in their seed alone are one curve with a band. The page also shows what `xit bench`,
    `xit frontier`, `xit coherence` and `xit foresee` measured of each run, and how to have it again.
    """
    from exit.cli.reporting import write_page
    from exit.plots import plot_report
    from exit.report import groups_of

    groups = groups_of(run_dirs)
    console.prepare_json(json_path)
    tables = []
    for title, columns in _TABLES.items():
        rows = [[group.label, str(len(group.run_dirs)), *cells(group, columns)] for group in groups]
        tables.append((title, ("run", "seeds", *columns), rows))
        console.show_table(*tables[-1])
    console.say(_LEGEND)
    console.write_json(
        json_path,
        {
            "groups": [
                {"name": group.name, "runs": list(map(str, group.run_dirs)), "last": group.last()}
                for group in groups
            ]
        },
    )
    picture, page = (
        (out.with_suffix(".png"), out) if out.suffix.lower() == ".html" else (out, out.with_suffix(".html"))
    )
    console.show_picture(lambda: plot_report(groups, picture))
    console.show_picture(lambda: write_page(groups, tables, _LEGEND, page), name="page")


def cells(group: "Group", columns: dict[str, Any]) -> list[str]:
    """The last figures of a group as texts, by columns such as `STANDING`."""
    last = group.last()

    def cell(name: str, form: Any, scale: float) -> str:
        found = [row[name] * scale for row in last if name in row]
        if not found:
            return "-"
        mean, low, high = map(form, (sum(found) / len(found), min(found), max(found)))
        return mean if low == high else f"{mean} ({low} to {high})"

    return [cell(*column) for column in columns.values()]
