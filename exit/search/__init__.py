"""Deliberation: explicit tree search at a budget set per call and per state."""

from exit.search.api import SearchConfig, SearchResult, search
from exit.search.schedule import considered_visit

__all__ = ["SearchConfig", "SearchResult", "considered_visit", "search"]
