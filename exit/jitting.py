"""`jax.jit` for what may compute in bfloat16, and functions that say what they were made from."""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jax.core import Tracer

from exit.devices import on_cpu, team_size
from exit.products import has_instructions

NAMED = "kept_as"
"""Attribute of a function that holds what it was made from."""

# XLA's own routines multiply bfloat16 as float32, and those of this library need not be asked for more: where
# products are small, dividing them among threads costs more than it gains.
_IN_BFLOAT16: dict[str, Any] = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


class Jitted:
    """`jax.jit` of a function. On a CPU, networks that compute in bfloat16 get routines that multiply it."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        static: Sequence[str] = (),
        donate: Sequence[str] = (),
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.names: dict[str, Any] = {"static_argnames": tuple(static), "donate_argnames": tuple(donate)}
        self._plain: Any = jax.jit(function, **self.names)
        self._half: Any = jax.jit(function, compiler_options=_IN_BFLOAT16, **self.names)

    def __call__(self, *arguments: Any, **static: Hashable) -> Any:
        """The function's result; all arguments but static ones by position."""
        return self._of(arguments, static)(*arguments, **static)

    def lower(self, *arguments: Any, **static: Hashable) -> jax.stages.Lowered:
        """As of `jax.jit`."""
        return self._of(arguments, static).lower(*arguments, **static)

    def num_programs(self) -> int:
        """How many were made in this process."""
        return self._plain._cache_size() + self._half._cache_size()

    def _of(self, arguments: tuple[Any, ...], static: dict[str, Hashable]) -> Any:
        # Part of another program, it is compiled as that is.
        whole = not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(arguments))
        return self._half if whole and self.options(static) else self._plain

    def options(self, static: dict[str, Hashable]) -> dict[str, Any]:
        """What a program made for these arguments is compiled with."""
        # These routines divide a product among threads that other devices may be waiting in: with jaxlib 0.10
        # training on two devices hung after some ten thousand updates.
        if not on_cpu() or team_size() > 1 or not has_instructions():
            return {}
        return _IN_BFLOAT16 if any(map(_computes_in_bfloat16, static.values())) else {}


def jitted(
    *, static: Sequence[str] = (), donate: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Jitted]:
    """Decorates a function as `Jitted`; the arguments are those of `exit.programs.kept`."""
    return functools.partial(Jitted, static=static, donate=donate)


def named(function: Callable[..., Any], *made_from: Any) -> Callable[..., Any]:
    """The same function, described by what it was made from; for functions that others make."""
    setattr(function, NAMED, made_from)
    return function


@functools.cache
def _computes_in_bfloat16(value: Hashable) -> bool:
    return _says_bfloat16(value)


def _says_bfloat16(value: Any) -> bool:
    """Whether a value is, has or was made from settings that say so."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return getattr(value, "bfloat16", None) is True or any(map(_says_bfloat16, parts))
    parts = value if isinstance(value, tuple) else getattr(value, NAMED, ())
    return any(map(_says_bfloat16, parts))
