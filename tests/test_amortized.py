"""How much of an earlier search the reflex has absorbed."""

import numpy as np
import pytest

from exit.acting import make_act_fn
from exit.evaluate import amortized_depth, critical_sample, decide, measure_fn_of, mistakes
from exit.network import make_network
from exit.search import Gumbel, SearchConfig
from exit.solve import exact_of
from games.nim import Nim
from tests.tiny import NET, random_params

LOOKS = (0, 1, 3, 7)


@pytest.mark.parametrize(
    ("regret", "depth"),
    [(0.9, 0.0), (0.8, 0.0), (0.4, 1.0), (0.3, np.sqrt(8) - 1), (0.2, 3.0), (0.1, 7.0), (0.0, 7.0)],
    ids=["worse", "no better", "as 1", "half way on the logarithm", "as 3", "as all of it", "better"],
)
def test_the_reflex_is_found_along_the_earlier_search(regret: float, depth: float) -> None:
    assert amortized_depth(regret, LOOKS, [0.8, 0.4, 0.2, 0.1]) == pytest.approx(depth)


def test_what_a_search_lost_again_does_not_count() -> None:
    assert amortized_depth(0.4, LOOKS, [0.8, 0.9, 0.4, 0.6]) == pytest.approx(3.0)
    assert amortized_depth(0.8, LOOKS, [0.8, 0.8, 0.4, 0.4]) == 0.0


@pytest.mark.parametrize("earlier", [[None, 0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.0], [0.2, 0.3, 0.3, 0.3]])
def test_there_is_no_depth_where_nothing_could_be_absorbed(earlier: list[float | None]) -> None:
    assert amortized_depth(0.1, LOOKS, earlier) is None


def test_one_search_tells_what_the_reflex_and_every_budget_give_away() -> None:
    game, params, network = Nim((1, 2, 3)), random_params(Nim((1, 2, 3))), make_network(NET, Nim((1, 2, 3)))
    config = SearchConfig(max_simulations=40, policy=Gumbel(anytime=True), prove=False)
    sample = critical_sample(exact_of(game), 100)
    figures = measure_fn_of(sample, game=game, network=network, config=config, budget=40)(params, None)
    act_fn = make_act_fn(params, game=game, network=network, config=config)
    every = np.arange(len(sample.moves.values))
    for budget in (0, 2, 16, 40):
        decided = decide(act_fn, sample.states, budget)
        regret = sample.moves.regrets[every, decided.action].mean()
        assert figures[f"regret_at_{budget}"] == pytest.approx(regret)
        if budget in (0, 40):
            name = "search_mistake_rate" if budget else "reflex_mistake_rate"
            assert figures[name] == pytest.approx(mistakes(decided, sample.moves).mean())
    assert figures["amortized_depth"] is None
    assert len({figures[f"regret_at_{budget}"] for budget in (0, 1, 2, 4, 8, 16, 32, 40)}) > 2


def test_a_report_is_held_against_the_one_before() -> None:
    game = Nim((1, 2, 3))
    sample = critical_sample(exact_of(game), 100)
    config = SearchConfig(max_simulations=4)
    measure = measure_fn_of(sample, game=game, network=make_network(NET, game), config=config, budget=4)
    earlier = {"regret_at_0": 3.0, "regret_at_1": 3.0, "regret_at_2": 2.5, "regret_at_4": 0.0}
    found = measure(random_params(game), earlier)
    expected = amortized_depth(found["regret_at_0"] or 0.0, (0, 1, 2, 4), [3.0, 3.0, 2.5, 0.0])
    assert expected is not None
    assert 2 < expected < 4
    assert found["amortized_depth"] == expected
