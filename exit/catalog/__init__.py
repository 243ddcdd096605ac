"""Games, configs and their settings by name."""

from exit.catalog.names import (
    config_names,
    did_you_mean,
    game_names,
    load_config,
    load_game,
    shelf_names,
    trained_agent,
    trained_names,
)
from exit.catalog.overrides import with_overrides

__all__ = [
    "config_names",
    "did_you_mean",
    "game_names",
    "load_config",
    "load_game",
    "shelf_names",
    "trained_agent",
    "trained_names",
    "with_overrides",
]
