"""Deliberation: explicit tree search at a budget set per call and per state."""

from exit.search.api import SearchResult, check_budget, search
from exit.search.config import SearchConfig
from exit.search.schedule import considered_visit

__all__ = ["SearchConfig", "SearchResult", "check_budget", "considered_visit", "search"]
