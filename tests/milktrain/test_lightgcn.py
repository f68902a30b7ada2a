"""LightGCN's propagation by hand, its gradient, and what of it is in a state."""

import math

import torch

from milktrain.backbones import bpr_mf, lightgcn


def test_propagation_by_hand():
    """Users 0 and 1, items 0 and 1; 0 has both, 1 has item 1: degrees 2 and 1 of the users, 1 and 2 of the items."""
    pairs = torch.tensor([[1, 1], [0, 1], [0, 0]])
    to_users = lightgcn.normalised(pairs, n_rows=2, n_columns=2)
    to_items = lightgcn.normalised(pairs.flip(1), n_rows=2, n_columns=2)
    # (0, 0) divides by the root of 2 * 1, (0, 1) by that of 2 * 2, (1, 1) by that of 1 * 2.
    root = 1 / math.sqrt(2)
    torch.testing.assert_close(to_users.to_dense(), torch.tensor([[root, 0.5], [0.0, root]]))
    torch.testing.assert_close(to_items.to_dense(), torch.tensor([[root, 0.0], [0.5, root]]))
    users, items = torch.tensor([[1.0], [2.0]]), torch.tensor([[4.0], [8.0]])
    # Layer 1 of users: 4 r + 8 / 2 and 8 r; of items: 1 r and 1 / 2 + 2 r.
    # Layer 2 of users: r r + (1/2 + 2 r) / 2 = 3/4 + r and (1/2 + 2 r) r = r/2 + 1;
    # of items: (4 r + 4) r = 2 + 4 r and (4 r + 4) / 2 + 8 r r = 2 r + 6.
    of_users, of_items = lightgcn.propagated(users, items, to_users, to_items)
    expected_users = [[(1 + 4 * root + 4 + 0.75 + root) / 3], [(2 + 8 * root + root / 2 + 1) / 3]]
    expected_items = [[(4 + root + 2 + 4 * root) / 3], [(8 + 0.5 + 2 * root + 2 * root + 6) / 3]]
    torch.testing.assert_close(of_users, torch.tensor(expected_users))
    torch.testing.assert_close(of_items, torch.tensor(expected_items))


def test_the_gradient_of_propagation_is_that_of_its_dense_matrix():
    random = torch.Generator().manual_seed(0)
    pairs = (torch.rand(5, 7, generator=random) < 0.4).nonzero()
    sparse = lightgcn.normalised(pairs, n_rows=5, n_columns=7), lightgcn.normalised(pairs.flip(1), n_rows=7, n_columns=5)
    found = []
    for dense in (False, True):
        users, items = (torch.randn(n, 3, generator=torch.Generator().manual_seed(n), requires_grad=True) for n in (5, 7))
        if dense:
            there, back = (each.to_dense() for each in sparse)
            of_users = (users + there @ items + there @ back @ users) / 3
            of_items = (items + back @ users + back @ there @ items) / 3
        else:
            of_users, of_items = lightgcn.propagated(users, items, *sparse)
        (of_users @ of_items.T).square().sum().backward()
        found.append((users.grad, items.grad))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain)


def test_the_graph_is_no_part_of_a_state():
    graph = lightgcn.build(torch.tensor([[0, 0]]), n_users=2, n_items=3, width=4, reg=0.0, generator=torch.Generator())
    plain = bpr_mf.build(torch.tensor([[0, 0]]), n_users=2, n_items=3, width=4, reg=0.0, generator=torch.Generator())
    assert set(graph.state_dict()) == set(plain.state_dict()) == {"users.weight", "items.weight"}
