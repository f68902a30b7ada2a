"""Where catalogues come from, one file a source: `pull(store_path, ...)` reads raw files into a store."""

from milkprep.pull.pull_report import PullReport

__all__ = ["PullReport"]
