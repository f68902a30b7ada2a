"""The generated catalogue as a source to pull."""

from milkprep import demo_catalogue
from milkprep.sources import amazon
from schemas.reporting import Silent


def test_a_catalogue_that_is_written_again_is_the_same_pull(tmp_path):
    for changed in (True, False):
        made = demo_catalogue.write(tmp_path / "catalogue", seed=1, n_users=100, n_items=100)
        report = amazon.pull(tmp_path / "s.duckdb", metadata=made.metadata, reviews=made.reviews, core=0, media=made.folder, reporter=Silent())
        assert report.changed == changed
