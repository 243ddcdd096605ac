"""The form of requests; what does not fit is refused before anything is computed."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from exit.web.position import MAX_MOVES

Number = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]

Bound = Annotated[float | None, Query(ge=0, allow_inf_nan=False)]
"""A limit of advice; None for what does not matter."""

MAX_DEADLINE_MS = 60_000
MAX_SECONDS = 60.0


class Where(BaseModel):
    """A position of an agent's game."""

    model_config = ConfigDict(extra="forbid")

    agent: str = Field(max_length=100, description="Name of the agent, as in /api/agents.")
    moves: list[Number] = Field(
        default=[],
        max_length=MAX_MOVES,
        description="Actions from the initial state; in games with chance action, outcome, action, outcome.",
    )


class Move(Where):
    """A move in a position."""

    action: Number


class Act(Where):
    """How long to think before one answer."""

    budget: Number | Literal["auto"] | None = Field(
        default=None, description="Simulations, within the agent's capacity, or as many as seem worth it."
    )
    deadline_ms: float | None = Field(default=None, ge=0, le=MAX_DEADLINE_MS)


class Think(Where):
    """How long to think while answers stream; exactly one of these is given."""

    total: Number | None = Field(default=None, description="Simulations that the position is to have in all.")
    more: Number | None = Field(default=None, description="Simulations on top of those it has.")
    seconds: float | None = Field(default=None, ge=0, le=MAX_SECONDS)
    auto: bool = Field(default=False, description="As long as one more simulation is worth its price.")


class Problem(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence: what was wrong and what is allowed.")
