"""Exact values of whole games from their own rules."""

from exit.solve.exact import Exact, MovesFn, exact_of_table, table_of
from exit.solve.layers import ProgressFn
from exit.solve.library import LabelProgressFn, exact_of_library, library_version
from exit.solve.memory import TooLarge
from exit.solve.solver import fits_in_memory, solve
from exit.solve.store import load_or_solve, load_table, save_table, table_directory
from exit.solve.table import (
    ExactMoves,
    Table,
    exact_moves,
    exact_moves_of_keys,
    initial_value,
    states_of,
    summary,
    unfinished_keys,
)

__all__ = [
    "Exact",
    "ExactMoves",
    "LabelProgressFn",
    "MovesFn",
    "ProgressFn",
    "Table",
    "TooLarge",
    "exact_moves",
    "exact_moves_of_keys",
    "exact_of_library",
    "exact_of_table",
    "fits_in_memory",
    "initial_value",
    "library_version",
    "load_or_solve",
    "load_table",
    "save_table",
    "solve",
    "states_of",
    "summary",
    "table_directory",
    "table_of",
    "unfinished_keys",
]
