"""What a pull reads, named by content, so that a second pull of the same is recognised before anything is parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas import fingerprint
from schemas.errors import BadValue, SourceError
from schemas.reporting import Reporter


@dataclass(frozen=True, slots=True)
class Input:
    """One input file, as the table `pulls` records it."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull, precisely enough to tell whether a store already holds it.

    Args:
        source: the source and its release, e.g. `amazon-2018`.
        parameters: every setting that shapes the tables, JSON-serialisable.
        inputs: the files read whole.
        listing: content of folders that is only listed: name, bytes and time of change of each file.
    """

    source: str
    parameters: Mapping[str, object]
    inputs: Sequence[Input]
    listing: Sequence[Sequence[object]] = ()

    @property
    def fingerprint(self) -> str:
        """Digest of settings and contents; names and places of the input files are no part of it."""
        contents = [file.sha256 for file in self.inputs]
        return fingerprint.of_value([self.source, dict(self.parameters), contents, [list(row) for row in self.listing]])


def require_file(path: Path, *, flag: str) -> None:
    """Refuse a path that is no file.

    Raises:
        BadValue: naming the path and the flag it came from.
    """
    if path.is_dir():
        raise BadValue(f"{path} is a folder. {flag} needs one file.")
    if not path.is_file():
        raise BadValue(f"There is no file {path}. Check what {flag} names.")


def require_folder(path: Path, *, flag: str) -> None:
    """Refuse a path that is no folder.

    Raises:
        BadValue: naming the path and the flag it came from.
    """
    if not path.is_dir():
        raise BadValue(f"There is no folder {path}. Check what {flag} names.")


def describe(paths: Sequence[Path], *, reporter: Reporter) -> list[Input]:
    """Size and digest of each file, in order.

    Raises:
        SourceError: if one cannot be read.
    """
    described = []
    with reporter.progress("fingerprinting inputs", total=len(paths), unit="files") as progress:
        for path in paths:
            try:
                described.append(Input(str(path), path.stat().st_size, fingerprint.of_file(path)))
            except OSError as error:
                raise SourceError(f"{path} cannot be read: {error.strerror or error}. Check the file and its permissions.") from error
            progress.advance()
    return described


def labels(paths: Sequence[Path]) -> list[str]:
    """A name for each file to go by in `rejects` and reports: its file name, or its whole path where two share one.

    Example:
        >>> labels([Path("a/meta.json"), Path("a/reviews.json")])
        ['meta.json', 'reviews.json']
        >>> labels([Path("a/x.json"), Path("b/x.json")])
        ['a/x.json', 'b/x.json']
    """
    names = [path.name for path in paths]
    return [str(path) if names.count(path.name) > 1 else path.name for path in paths]
