"""Two steps of training with three modalities, worked out here in plain numbers: forward, gradients, Adam.

Nothing below comes from the trainer: the features that are imputed and scaled are written down, the objective is sums over triples
and environments, its gradient is worked by the chain rule and held to the slope of the value, and Adam is its four lines. Five
items, of which the last is new; three users, of whom the last is in no batch; embeddings of width 2.
"""

import copy
import math
from itertools import product

import pytest
import torch

from milktrain import config, content, environments, optimizers
from milktrain.models import milk
from milktrain.recommender import Batch, Task
from schemas.contracts import Modality

HOLE = math.nan
#: As extracted. What training items have of each modality has the mean (3, 4), (-1) and (0, -3, 0).
RAW = (
    [[6, 8], [3, -4], [0, 8], [HOLE, HOLE], [HOLE, HOLE]],
    [[2], [HOLE], [-6], [1], [50]],
    [[2, -2, 1], [2, 1, -2], [HOLE, HOLE, HOLE], [-4, -8, 1], [0, 30, 40]],
)
AVAILABLE = [[True, True, True], [True, False, True], [True, True, False], [False, True, True], [False, True, True]]
IS_TRAIN = [True, True, True, True, False]
#: With that mean in the holes, and rows of length 1.
X = (
    [[0.6, 0.8], [0.6, -0.8], [0, 1], [0.6, 0.8], [0.6, 0.8]],
    [[1], [-1], [-1], [1], [1]],
    [[2 / 3, -2 / 3, 1 / 3], [2 / 3, 1 / 3, -2 / 3], [0, -1, 0], [-4 / 9, -8 / 9, 1 / 9], [0, 0.6, 0.8]],
)
#: (user, positive, negative) of both steps; in the first an item is positive twice, and an item of both is new.
TRIPLES = ([(0, 0, 1), (1, 2, 4), (0, 0, 3)], [(1, 3, 2), (0, 1, 4), (1, 2, 0)])
THIRD = 1 / 3
#: Of the draws (.5, .3, .2) and (.1, .2, .7): the uniform environment, the draw, and its last weight brought to the front, twice.
THETA = (
    [[THIRD, THIRD, THIRD], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]],
    [[THIRD, THIRD, THIRD], [0.1, 0.2, 0.7], [0.7, 0.1, 0.2], [0.2, 0.7, 0.1]],
)
START = {
    "users.weight": [[0.3, -0.2], [0.1, 0.4], [0.5, 0.5]],
    "extractors.0.weight": [[0.5, -0.3], [0.2, 0.7]], "extractors.0.bias": [[0.1], [-0.2]],
    "extractors.1.weight": [[0.4], [-0.6]], "extractors.1.bias": [[0.0], [0.3]],
    "extractors.2.weight": [[-0.2, 0.6, 0.1], [0.3, 0.2, -0.5]], "extractors.2.bias": [[0.2], [0.05]],
}  # fmt: skip
BETA, LAM, REG, RATE = 2.0, 0.5, 0.01, 0.1
PRESETS = ["published", "paper"]


def of(vector, other):
    return sum(a * b for a, b in zip(vector, other, strict=True))


def embedded(p):
    """c[j][m], eq. 5: a linear map of each modality, W x + b."""
    return [[[of(p[f"extractors.{m}.weight"][d], X[m][j]) + p[f"extractors.{m}.bias"][d][0] for d in range(2)] for m in range(3)] for j in range(5)]


def mixed(c, theta):
    """z[e][j], eq. 8."""
    return [[[sum(row[m] * c[j][m][d] for m in range(3)) for d in range(2)] for j in range(5)] for row in theta]


def pairs_of(triples):
    """Pairs of modalities, and the distinct positives that have both."""
    positives = sorted({positive for _, positive, _ in triples})
    return [((a, b), [j for j in positives if AVAILABLE[j][a] and AVAILABLE[j][b]]) for a, b in ((0, 1), (0, 2), (1, 2))]


def task_of(c, u, triples, theta, published, du, dc):
    """Losses of the environments, eq. 15, and their variance, eq. 14; the slopes are added to those by users and by embeddings."""
    z, n = mixed(c, theta), len(triples)
    gaps = [[of(u[i], [a - b for a, b in zip(z[e][j], z[e][k], strict=True)]) for e in range(4)] for i, j, k in triples]  # eq. 13
    bpr = [sum(math.log1p(math.exp(-gap[e])) for gap in gaps) / n for e in range(4)]
    mean, freedom = sum(bpr) / 4, 3 if published else 4
    for (i, j, k), gap in zip(triples, gaps, strict=True):
        for e, d in product(range(4), range(2)):
            of_loss = (1 if published else 1 / 4) + BETA * 2 * (bpr[e] - mean) / freedom
            slope = -of_loss / (1 + math.exp(gap[e])) / n
            du[i][d] += slope * (z[e][j][d] - z[e][k][d])
            for m in range(3):
                dc[j][m][d] += slope * theta[e][m] * u[i][d]
                dc[k][m][d] -= slope * theta[e][m] * u[i][d]
    return bpr, sum((each - mean) ** 2 for each in bpr) / freedom


def alignment_of(c, triples, published, dc):
    """Eq. 6, of each pair of modalities the mean over the items that have both; its slope is added."""
    align = 0.0
    for (a, b), both in pairs_of(triples):
        for j, d in product(both, range(2)):
            gap, share = c[j][a][d] - c[j][b][d], len(both) * (2 if published else 1)
            align += gap**2 / share
            dc[j][a][d] += LAM * 2 * gap / share
            dc[j][b][d] -= LAM * 2 * gap / share
    return align


def lengths_of(c, u, triples, du, dc):
    """Squared lengths in the uniform environment, on average over the batch; the slope is added."""
    norm, n, (z,) = 0.0, len(triples), mixed(c, [[THIRD] * 3])
    for (i, j, k), d in product(triples, range(2)):
        norm += (u[i][d] ** 2 + z[j][d] ** 2 + z[k][d] ** 2) / n
        du[i][d] += REG * 2 * u[i][d] / n
        for m in range(3):
            dc[j][m][d] += REG * 2 * z[j][d] / 3 / n
            dc[k][m][d] += REG * 2 * z[k][d] / 3 / n
    return norm


def worked(p, triples, theta, preset):
    """The value of eq. 16 and its parts, and its gradient by every parameter, by hand."""
    c, u, published = embedded(p), p["users.weight"], preset == "published"
    du, dc = [[0.0, 0.0] for _ in u], [[[0.0, 0.0] for _ in range(3)] for _ in c]
    bpr, spread = task_of(c, u, triples, theta, published, du, dc)
    align = alignment_of(c, triples, published, dc)
    norm = lengths_of(c, u, triples, du, dc) if published else sum(value**2 for matrix in p.values() for row in matrix for value in row)
    slopes = {"users.weight": du}
    for m in range(3):
        slopes[f"extractors.{m}.weight"] = [[sum(dc[j][m][d] * X[m][j][w] for j in range(5)) for w in range(len(X[m][0]))] for d in range(2)]
        slopes[f"extractors.{m}.bias"] = [[sum(dc[j][m][d] for j in range(5))] for d in range(2)]
    if not published:  # the lengths were those of all parameters
        for name, matrix in p.items():
            for r, w in product(range(len(matrix)), range(len(matrix[0]))):
                slopes[name][r][w] += REG * 2 * matrix[r][w]
    total = (sum(bpr) if published else sum(bpr) / 4) + BETA * spread + LAM * align + REG * norm
    return total, {"bpr": bpr, "variance": spread, "alignment": align, "regularisation": norm}, slopes


def moved(p, slopes, moments, step):
    """Adam, Kingma & Ba 2015, algorithm 1."""
    for name, matrix in p.items():
        for r, row in enumerate(matrix):
            for w, value in enumerate(row):
                first, second = moments.get((name, r, w), (0.0, 0.0))
                first, second = 0.9 * first + 0.1 * slopes[name][r][w], 0.999 * second + 0.001 * slopes[name][r][w] ** 2
                moments[name, r, w] = first, second
                row[w] = value - RATE * (first / (1 - 0.9**step)) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)


def settings(preset):
    changes = {"beta": BETA, "lam": LAM, "reg": REG, "learning_rate": RATE, "dim": 2}
    return config.load(preset, changes={name: str(value) for name, value in changes.items()})


def prepared(preset):
    features = [torch.tensor(matrix, dtype=torch.float32) for matrix in RAW]
    modalities = (Modality.VISUAL, Modality.TEXT, Modality.AUDIO)
    return content.prepare(features, torch.tensor(AVAILABLE), is_train=torch.tensor(IS_TRAIN), modalities=modalities, config=settings(preset))


@pytest.mark.parametrize("preset", PRESETS)
def test_holes_take_the_mean_of_training_items_and_rows_have_length_one(preset):
    for matrix, expected in zip(prepared(preset).features, X, strict=True):
        torch.testing.assert_close(matrix, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("step", [0, 1])
def test_the_gradient_worked_by_hand_is_the_slope_of_the_value_worked_by_hand(preset, step):
    _, _, slopes = worked(START, TRIPLES[step], THETA[step], preset)
    for name, matrix in START.items():
        for r, row in enumerate(matrix):
            for w in range(len(row)):
                ends = []
                for way in (1e-5, -1e-5):
                    nudged = copy.deepcopy(START)
                    nudged[name][r][w] += way
                    ends.append(worked(nudged, TRIPLES[step], THETA[step], preset)[0])
                assert slopes[name][r][w] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8), (name, r, w)


@pytest.mark.parametrize("preset", PRESETS)
def test_two_steps_end_where_they_end_by_hand(preset):
    task = Task(prepared(preset), len(START["users.weight"]), torch.tensor([[0, 0], [1, 2], [1, 3], [0, 1]]))
    model = milk.build(task, settings(preset), generator=torch.Generator())
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    model.load_state_dict({name: torch.tensor(matrix).reshape(shapes[name]) for name, matrix in START.items()})
    optimizer, p, moments = optimizers.build(model, settings(preset)), copy.deepcopy(START), {}
    for step, (triples, theta, draw) in enumerate(zip(TRIPLES, THETA, ([0.5, 0.3, 0.2], [0.1, 0.2, 0.7]), strict=True), start=1):
        total, parts, slopes = worked(p, triples, theta, preset)
        losses = model.losses_in(Batch(*torch.tensor(triples).unbind(1)), environments.cyclic_mixup(torch.tensor(draw)))
        optimizer.zero_grad()
        losses.total.backward()
        assert losses.total.item() == pytest.approx(total, rel=1e-5)
        assert losses.parts["bpr"].tolist() == pytest.approx(parts.pop("bpr"), rel=1e-5)
        assert {name: losses.parts[name].item() for name in parts} == pytest.approx(parts, rel=1e-4)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, torch.tensor(slopes[name]).reshape(shapes[name]), rtol=1e-4, atol=1e-6)
        optimizer.step()
        moved(p, slopes, moments, step)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.detach(), torch.tensor(p[name]).reshape(shapes[name]), rtol=1e-5, atol=1e-5)
    assert (p["users.weight"][2] == START["users.weight"][2]) == (preset == "published")  # who is in no batch, and is regularised all the same


def test_two_steps_differ_by_hand_wherever_the_presets_do():
    """So that a trainer that took one for the other would be seen."""
    of_preset = [worked(START, TRIPLES[0], THETA[0], preset) for preset in PRESETS]
    assert of_preset[0][0] != pytest.approx(of_preset[1][0], rel=0.01)
    for part in ("variance", "alignment", "regularisation"):
        assert of_preset[0][1][part] != pytest.approx(of_preset[1][1][part], rel=0.01)
