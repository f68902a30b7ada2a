"""The k-core: the largest set of pairs in which every user and every item has at least k, found set-wise in the store."""

from collections import Counter
from itertools import combinations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milkprep.pull import items, pairs
from schemas.reporting import Silent
from schemas.store import Store

SCHEMA = {"line": pl.Int64, "user_number": pl.Int32, "item_number": pl.Int32, "rating": pl.Float32, "seconds": pl.Int64, "digest": pl.Int64}


@pytest.fixture(scope="module")
def memory():
    """A store that all examples share; temporary tables are made anew by each."""
    with Store(":memory:", mode="write") as store:
        yield store


def core_of(store, edges, k):
    """What `keep_core` leaves of these pairs, after checking that every other one is a reject."""
    items.create_tables(store)
    pairs.create_tables(store)
    store.append("pairs", pl.DataFrame([(n, u, i, None, None, n) for n, (u, i) in enumerate(edges)], schema=SCHEMA, orient="row"))
    rounds = pairs.keep_core(store, core=k, source="r", reporter=Silent())
    left = store.query("SELECT line, user_number, item_number FROM pairs ORDER BY line").rows()
    dropped = store.query("SELECT line FROM staged_rejects WHERE source = 'r' AND reason = 'below_core'")["line"].to_list()
    assert sorted([*dropped, *(line for line, _, _ in left)]) == list(range(len(edges)))
    return {(u, i) for _, u, i in left}, rounds


def is_core(edges, k):
    """Whether every user and item in these pairs has at least k."""
    users, things = Counter(u for u, _ in edges), Counter(i for _, i in edges)
    return all(n >= k for n in (*users.values(), *things.values()))


def largest_by_trying_all(edges, k):
    """The union of all subsets that are cores: by definition the largest core."""
    subsets = (subset for size in range(len(edges) + 1) for subset in combinations(edges, size))
    return {edge for subset in subsets if is_core(subset, k) for edge in subset}


def largest_by_peeling(edges, k):
    """Drop one too-small user or item at a time."""
    left = set(edges)
    while weak := [("u", u) for u, n in Counter(u for u, _ in left).items() if n < k] + [
        ("i", i) for i, n in Counter(i for _, i in left).items() if n < k
    ]:
        side, name = weak[0]
        left = {(u, i) for u, i in left if (u if side == "u" else i) != name}
    return left


@settings(deadline=None, max_examples=60)
@given(edges=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=9), k=st.integers(0, 3))
def test_it_is_the_largest_of_all_subsets(memory, edges, k):
    assert core_of(memory, sorted(edges), k)[0] == largest_by_trying_all(sorted(edges), k)


@settings(deadline=None, max_examples=40)
@given(edges=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=90), k=st.integers(1, 6))
def test_it_is_what_peeling_one_by_one_leaves(memory, edges, k):
    assert core_of(memory, sorted(edges), k)[0] == largest_by_peeling(edges, k)


def test_a_chain_falls_link_by_link(memory):
    chain = [(n + step, n) for n in range(6) for step in (0, 1)]  # a path: each end takes the next with it
    assert core_of(memory, chain, 2) == (set(), 6)
    assert core_of(memory, [*chain, (0, 5), (6, 0)], 2)[0] == {*chain, (0, 5), (6, 0)}  # closed to a ring: nothing falls


@pytest.mark.parametrize("k", [0, 1])
def test_a_core_of_one_is_everything(memory, k):
    assert core_of(memory, [(0, 0), (1, 1)], k) == ({(0, 0), (1, 1)}, 0)
