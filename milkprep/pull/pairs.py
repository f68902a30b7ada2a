"""From raw interactions to the unique (user, item) pairs of a k-core, set-wise in the store's temporary tables.

Promises: of several interactions of a pair the earliest is kept; the k-core is the largest set of pairs in which every user
and every item has at least k; every dropped line is a row of `staged_rejects`.
"""

from schemas import queries
from schemas.reporting import Reporter
from schemas.store import Store


def create_tables(store: Store) -> None:
    """Make the temporary tables `raw_pairs`, `pairs`, `user_numbers` and `item_numbers`, empty."""
    store.run(_sql()["create"])


def number_keys(store: Store) -> None:
    """Turn `raw_pairs` (keys) into `pairs` (integers in the order of keys)."""
    for name in ("number_users", "number_items", "pairs_by_number", "forget_raw_pairs"):
        store.run(_sql()[name])


def drop_repeats(store: Store, *, source: str) -> None:
    """Keep one line of each (user, item) pair: the earliest, on a tie the first in the file.

    Args:
        store: open for writing, with `pairs` filled.
        source: the file the lines are from, for `staged_rejects`.
    """
    sql = _sql()
    store.run(sql["find_repeats"])
    store.run(sql["reject_repeats"], source=source)
    store.run(sql["drop_repeats"])


def keep_core(store: Store, *, core: int, source: str, reporter: Reporter) -> int:
    """Drop pairs until every user and every item left has at least `core` of them.

    Args:
        store: open for writing, with `pairs` unique.
        core: the k of the k-core; 0 and 1 drop nothing.
        source: the file the lines are from, for `staged_rejects`.
        reporter: told each round; their number is not known before.

    Returns:
        Rounds that dropped something.
    """
    sql, rounds = _sql(), 0
    store.run(sql["count_degrees"])
    with reporter.progress(f"{core}-core", total=None, unit="rounds") as progress:
        while True:
            store.run(sql["find_leaving"], core=core)
            leaving = int(store.query(sql["count_leaving"]).item())
            if not leaving:
                break
            store.run(sql["reject_leaving"], source=source, core=core)
            store.run(sql["drop_leaving"])
            for name in ("forget_weak_users", "forget_weak_items"):
                store.run(sql[name], core=core)
            for name in ("lower_user_degrees", "lower_item_degrees", "empty_leaving"):
                store.run(sql[name])
            rounds += 1
            progress.advance()
            progress.note(f"{leaving:,} interactions dropped")
    store.run(sql["forget_degrees"])
    return rounds


def item_keys(store: Store) -> frozenset[str]:
    """Keys of the items that are left."""
    return frozenset(store.query(_sql()["item_keys"])["item_key"])


def _sql() -> dict[str, str]:
    return queries.load("milkprep.sql", "pairs.sql")
