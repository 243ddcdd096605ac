"""Exact values of whole games from their own rules."""

from exit.solve.cache import load_or_solve, table_directory
from exit.solve.exact import Exact, MovesFn, exact_of_table, table_of
from exit.solve.forecast import Forecast
from exit.solve.library import LabelProgressFn, exact_of, exact_of_library, library_version
from exit.solve.lookup import ExactMoves, OptimalMoves, exact_moves, exact_moves_of_keys, optimal_moves
from exit.solve.memory import TooLarge
from exit.solve.progress import ProgressFn
from exit.solve.solver import fits_in_memory, solve
from exit.solve.states import sample_unfinished, states_of, unfinished_chunks, unfinished_keys
from exit.solve.statistic import exact_of_statistic, statistics_of
from exit.solve.store import load_table, save_table
from exit.solve.table import Table, initial_value, summary

__all__ = [
    "Exact",
    "ExactMoves",
    "Forecast",
    "LabelProgressFn",
    "MovesFn",
    "OptimalMoves",
    "ProgressFn",
    "Table",
    "TooLarge",
    "exact_moves",
    "exact_moves_of_keys",
    "exact_of",
    "exact_of_library",
    "exact_of_statistic",
    "exact_of_table",
    "fits_in_memory",
    "initial_value",
    "library_version",
    "load_or_solve",
    "load_table",
    "optimal_moves",
    "sample_unfinished",
    "save_table",
    "solve",
    "states_of",
    "statistics_of",
    "summary",
    "table_directory",
    "table_of",
    "unfinished_chunks",
    "unfinished_keys",
]
