"""Lists whose end, or whose whole, is a matter of chance: several have the last score, and not all of them are listed."""

from torch import Tensor


def at_the_cut(scores: Tensor, listed: Tensor) -> int:
    """How many have the score of the last in a list, where that makes the list arbitrary.

    Args:
        scores: (C,) of all that were ranked.
        listed: (k,) of those in the list, best first.

    Returns:
        0 where all that have it are in the list, unless all of several have the same: then their order says nothing either.

    Example:
        >>> import torch
        >>> scores = torch.tensor([3.0, 1.0, 1.0, 1.0])
        >>> at_the_cut(scores, scores[:2]), at_the_cut(scores, scores), at_the_cut(scores[1:], scores[1:])
        (3, 0, 3)
    """
    if not len(listed):
        return 0
    n = int((scores == listed[-1]).sum())
    is_cut, is_all = n > int((listed == listed[-1]).sum()), n == len(scores) > 1
    return n if is_cut or is_all else 0


def in_words(n_tied: int, *, n_ranked: int, scores: list[float], what: str, instead: str) -> list[str]:
    """What a reader should know of it, and do; nothing where no score is shared.

    Args:
        n_tied: as `at_the_cut` counts.
        n_ranked: all that were.
        scores: of the list, best first.
        what: scores are called, e.g. `score`.
        instead: what to do where all are the same, a sentence; empty for nothing.
    """
    if not n_tied:
        return []
    if n_tied == n_ranked:
        said = f"All {n_ranked} items have the same {what}: the run cannot tell one from another, so this order is chance."
        return [f"{said} {instead}".rstrip()]
    n_in = sum(score == scores[-1] for score in scores)
    longer = len(scores) + n_tied - n_in
    which = f"which {n_in} of them {'is' if n_in == 1 else 'are'} listed"
    return [f"{n_tied} items share the last {what} of the list, and {which} is chance: -k {longer} lists them all."]
