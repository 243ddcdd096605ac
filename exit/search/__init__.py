"""Explicit tree search at a budget set per call."""

from exit.search.api import check_budget, search, search_curve, search_with_inside
from exit.search.bounds import move_bounds
from exit.search.config import PUCT, Gumbel, Policy, SearchConfig, prefix_consistent, without_noise
from exit.search.forest import Findings
from exit.search.grow import StopFn
from exit.search.grown import TooMuchThought
from exit.search.inside import Inside, require_inside
from exit.search.result import SearchResult
from exit.search.thought import Thinker, Thought, advance, think, think_more, think_until
from exit.search.worth import doubt, information, worth_of_thinking

__all__ = [
    "PUCT",
    "Findings",
    "Gumbel",
    "Inside",
    "Policy",
    "SearchConfig",
    "SearchResult",
    "StopFn",
    "Thinker",
    "Thought",
    "TooMuchThought",
    "advance",
    "check_budget",
    "doubt",
    "information",
    "move_bounds",
    "prefix_consistent",
    "require_inside",
    "search",
    "search_curve",
    "search_with_inside",
    "think",
    "think_more",
    "think_until",
    "without_noise",
    "worth_of_thinking",
]
