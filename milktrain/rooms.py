"""The rooms of milktrain that have commands, for the command line to open; `using` and `experiments` are told what milkprep can, and stand there."""

from milktrain import commands as training
from milktrain.comparing import commands as comparing
from milktrain.page import commands as page
from milktrain.sweeping import commands as sweeping

APPS = tuple(room.app for room in (training, sweeping, comparing, page))
