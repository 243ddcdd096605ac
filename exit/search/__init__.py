"""Explicit tree search at a budget set per call."""

from exit.search.api import check_budget, search
from exit.search.config import PUCT, Gumbel, Policy, SearchConfig, prefix_consistent
from exit.search.result import SearchResult

__all__ = [
    "PUCT",
    "Gumbel",
    "Policy",
    "SearchConfig",
    "SearchResult",
    "check_budget",
    "prefix_consistent",
    "search",
]
