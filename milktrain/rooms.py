"""The rooms of milktrain that have commands, for the command line to open."""

from milktrain import commands as training
from milktrain.comparing import commands as comparing
from milktrain.experiments import commands as experiments
from milktrain.page import commands as page
from milktrain.sweeping import commands as sweeping

APPS = tuple(room.app for room in (training, sweeping, experiments, comparing, page))
