"""Taking parts out of a tree: what is kept stays connected as it was, and nothing else comes along."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from exit.network import make_network
from exit.search import PUCT, SearchConfig, Thinker, think
from exit.search.subtree import share, subtree, with_room
from exit.search.tree import UNVISITED, Nodes
from games.tic_tac_toe import TicTacToe
from tests.tiny import NET, random_params

GAME = TicTacToe()


@functools.cache
def grown() -> Nodes:
    """The rows of one tree, which PUCT makes bushy."""
    config = SearchConfig(policy=PUCT(dirichlet_fraction=0.0, temperature=0.0), prove=False)
    thinker = Thinker(random_params(GAME), GAME, make_network(NET, GAME).predict, config)
    tree = jax.tree.map(np.asarray, think(thinker, GAME.init(), 300).tree)
    return jax.tree.map(lambda leaf: leaf[: int(tree.tree.size)], tree.tree.nodes)


def lines(nodes: Nodes, root: int, line: tuple[int, ...] = ()) -> dict[tuple[int, ...], tuple[float, int]]:
    """Value and visits by the moves that lead there, found from the root down."""
    found = {line: (float(nodes.value[root]), int(nodes.visits[root].sum()))}
    for action in np.flatnonzero(nodes.child[root] != UNVISITED):
        child = int(nodes.child[root, action])
        assert (nodes.parent[child], nodes.parent_action[child]) == (root, action)
        found |= lines(nodes, child, (*line, int(action)))
    return found


def test_a_subtree_holds_what_lay_below_its_root() -> None:
    nodes = grown()
    whole = lines(nodes, 0)
    action = int(np.argmax(nodes.visits[0]))
    taken = subtree(nodes, int(nodes.child[0, action]))
    assert taken.parent[0] == -1
    assert taken.next_row[0] == 0
    found = lines(taken, 0)
    assert found == {line[1:]: entry for line, entry in whole.items() if line[:1] == (action,)}
    assert len(found) == len(taken.parent) > 20


def test_shares_hold_one_action_each_and_all_actions_together() -> None:
    nodes = grown()
    whole, num_rows = lines(nodes, 0), 0
    for actions in ([7, 0, 4], [1, 8], [2, 6, 3, 5]):
        taken = share(nodes, np.array(actions))
        for copy, action in enumerate(actions):
            assert taken.parent[copy] == -1
            found = lines(taken, copy)
            own = {line: entry for line, entry in whole.items() if not line or line[0] == action}
            assert found == own
            np.testing.assert_array_equal(taken.visits[copy], nodes.visits[0])
        num_rows += len(taken.parent) - len(actions)
    assert num_rows == len(nodes.parent) - 1


def test_room_is_added_behind() -> None:
    nodes = grown()
    roomy = with_room(nodes, 512)
    assert roomy.parent.shape == (512,)
    for before, after in zip(jax.tree.leaves(nodes), jax.tree.leaves(roomy), strict=True):
        np.testing.assert_array_equal(after[: len(before)], before)
        assert not jnp.any(after[len(before) :])
