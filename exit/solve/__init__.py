"""Exact values of whole games from their own rules."""

from exit.solve.cache import load_or_solve, table_directory
from exit.solve.forecast import Forecast
from exit.solve.lookup import ExactMoves, OptimalMoves, exact_moves, exact_moves_of_keys, optimal_moves
from exit.solve.memory import TooLarge
from exit.solve.progress import ProgressFn
from exit.solve.solver import fits_in_memory, solve
from exit.solve.states import sample_unfinished, states_of, unfinished_chunks, unfinished_keys
from exit.solve.store import load_table, save_table
from exit.solve.table import Table, initial_value, summary

__all__ = [
    "ExactMoves",
    "Forecast",
    "OptimalMoves",
    "ProgressFn",
    "Table",
    "TooLarge",
    "exact_moves",
    "exact_moves_of_keys",
    "fits_in_memory",
    "initial_value",
    "load_or_solve",
    "load_table",
    "optimal_moves",
    "sample_unfinished",
    "save_table",
    "solve",
    "states_of",
    "summary",
    "table_directory",
    "unfinished_chunks",
    "unfinished_keys",
]
