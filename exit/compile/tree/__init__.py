"""Decision trees on a game's own statistics."""

from exit.compile.tree.extract import SIZES, extract, extract_within, statistics_at
from exit.compile.tree.nodes import Tree, play
from exit.compile.tree.objective import objective_of
from exit.compile.tree.source import load_tree, save_tree, source_of

__all__ = [
    "SIZES",
    "Tree",
    "extract",
    "extract_within",
    "load_tree",
    "objective_of",
    "play",
    "save_tree",
    "source_of",
    "statistics_at",
]
