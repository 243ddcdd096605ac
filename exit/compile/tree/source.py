"""A tree as Python that a person can read, and as JSON."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from exit.compile.files import write_bytes
from exit.compile.tree.nodes import LEAF, Tree
from exit.errors import UsageError
from exit.game import Game, action_name_of, statistic_names_of

_WIDTH = 100


def source_of(tree: Tree, game: Game, header: Mapping[str, Any]) -> str:
    """A module without imports: `HEADER`, and `act` with the statistics that are asked for as arguments."""
    names = statistic_names_of(game)
    asked = [names[index] for index in sorted(set(tree.feature[tree.feature != LEAF].tolist()))]
    arguments = textwrap.wrap(", ".join(asked), _WIDTH - 4)
    signature = [f"def act({arguments[0] if arguments else ''}):"]
    if len(arguments) > 1:
        signature = ["def act(", *(f"    {line}" for line in arguments), "):"]
    lines = [
        f'"""{_summary(tree, header)}"""',
        "",
        f"HEADER = {_literal(header)}",
        "",
        "",
        *signature,
        f'    """The action to play in {header["game"]}, by statistics of the state."""',
        *_branches(tree, 0, names, game, "    "),
    ]
    return "\n".join(lines) + "\n"


def tree_as_json(tree: Tree, game: Game, header: Mapping[str, Any]) -> dict[str, Any]:
    """Header, names, and the arrays of the tree."""
    columns = {name: column.tolist() for name, column in tree._asdict().items()}
    actions = [action_name_of(game, action) for action in range(game.num_actions)]
    return {
        "header": dict(header),
        "statistics": list(statistic_names_of(game)),
        "actions": actions,
        "nodes": columns,
    }


def save_tree(path: Path, tree: Tree, game: Game, header: Mapping[str, Any]) -> Path:
    """Writes the source to `path` and the JSON beside it; returns where that is.

    Raises:
      UserError: they cannot be written.
    """
    beside, content = path.with_suffix(".json"), json.dumps(tree_as_json(tree, game, header), indent=1)
    write_bytes(path, lambda file: file.write(source_of(tree, game, header).encode()))
    write_bytes(beside, lambda file: file.write(content.encode() + b"\n"))
    return beside


def load_tree(path: Path) -> tuple[dict[str, Any], Tree]:
    """Header and tree of a JSON file that `save_tree` wrote.

    Raises:
      UsageError: there is none, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        columns = {name: np.asarray(content["nodes"][name]) for name in Tree._fields}
        return content["header"], Tree(**columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} holds no tree; `xit compile --to tree` writes one") from error


def _branches(
    tree: Tree, node: int, names: tuple[str, ...], game: Game, indent: str, word: str = "if"
) -> list[str]:
    """The lines of a node; `word` begins its test, which goes on the `else` of the one above where it can."""
    if tree.feature[node] == LEAF:
        action = int(tree.action[node])
        name = action_name_of(game, action)
        said = f"  # {name}" if name != str(action) else ""
        return [f"{indent}return {action}{said}"]
    test = f"{names[tree.feature[node]]} <= {tree.threshold[node]:.12g}"
    deeper, right = indent + "    ", int(tree.right[node])
    lines = [f"{indent}{word} {test}:", *_branches(tree, int(tree.left[node]), names, game, deeper)]
    if tree.feature[right] != LEAF:
        return lines + _branches(tree, right, names, game, indent, "elif")
    return [*lines, f"{indent}else:", *_branches(tree, right, names, game, deeper)]


def _summary(tree: Tree, header: Mapping[str, Any]) -> str:
    """What a reader should know first."""
    found = header.get("certificate")
    lines = [f"A policy for {header['game']}: {tree.num_nodes} nodes, {tree.num_leaves} of them leaves."]
    if found is None:
        lines.append("Not certified: the states of the game cannot all be listed.")
    else:
        play = "no mistake that its own play can lead to" if found["certified"] else "not free of mistakes"
        lines.append(
            f"Held against exact values in all {found['states']:,} states: {found['mistakes']:,} mistakes, "
            f"mean regret {found['mean_regret']:.6g}; {play}, exploitability {found['exploitability']:.6g}."
        )
    wrapped = [textwrap.fill(line, _WIDTH) for line in lines]
    return "\n\n".join(wrapped) + ("\n" if len(wrapped) > 1 else "")


def _literal(header: Mapping[str, Any]) -> str:
    """The header as Python, an entry a line."""
    entries = [f"    {key!r}: {value!r}," for key, value in header.items()]
    return "\n".join(["{", *entries, "}"])
