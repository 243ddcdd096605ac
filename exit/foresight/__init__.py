"""What an agent foresees of its own searches, before it pays for them."""

from exit.foresight.file import foresight_path, load_foresight, save_foresight
from exit.foresight.heads import BUDGETS, Foreseen, Foresight, foresee
from exit.foresight.teaching import NUM_STATES, lesson_positions, measures, teach

__all__ = [
    "BUDGETS",
    "NUM_STATES",
    "Foreseen",
    "Foresight",
    "foresee",
    "foresight_path",
    "lesson_positions",
    "load_foresight",
    "measures",
    "save_foresight",
    "teach",
]
