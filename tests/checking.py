"""The check of shapes that `conftest` puts around every function, made once for each signature.

A function inside another is decorated anew at every trace, and to make its check takes a millisecond or two:
several seconds of a file that traces much.
"""

import functools
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import _array_types, _decorator

checked = functools.cache(beartype)
"""Given the same function again, it returns the same check."""


def _once(make_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Makes the empty function that carries a signature once, where its defaults can be told apart."""
    kept = functools.lru_cache(maxsize=None, typed=True)(make_fn)

    @functools.wraps(make_fn)
    def made(*arguments: Any, **options: Any) -> Any:
        try:
            return kept(*arguments, **options)
        except TypeError:  # a default has no hash
            return make_fn(*arguments, **options)

    return made


def check_once() -> None:
    """From now on equal annotations are one, and functions of one name and signature share their check."""
    _array_types._make_array = functools.cache(_array_types._make_array)
    _decorator._make_fn_with_signature = _once(_decorator._make_fn_with_signature)
