"""What the ICME 2019 short-video challenge says of a video: title, vectors, faces; one JSON object a line.

Source: the organisers' description, and what public parsers of these files guard against. The two files of vectors name their
field differently.
"""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
import numpy as np
import polars as pl

from milkprep.pull.lines import first_lines
from milkprep.pull.staging import REFUSALS, LineShape, RawFile
from schemas.contracts import Modality
from schemas.errors import SourceError

WIDTH = 128
LINES_LOOKED_AT = 100
NOT_JSON = (b"NaN", b"Infinity")

Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

Word = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Times = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Number = Annotated[float, msgspec.Meta(ge=-3.4e38, le=3.4e38)]
Record = TypeVar("Record")


class Title(msgspec.Struct):
    """A title: anonymous word -> how often. Without words there is no title."""

    item_id: Id
    title_features: dict[Word, Times]


class Video(msgspec.Struct):
    """What is seen in a video, as a vector."""

    item_id: Id
    vector: list[float] = msgspec.field(name="video_feature_dim_128")


class Audio(msgspec.Struct):
    """What is heard in a video, as a vector. The name of the field differs from that of `Video`."""

    item_id: Id
    vector: list[float] = msgspec.field(name="audio_feature_128_dim")


class Face(msgspec.Struct):
    """One face."""

    gender: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    beauty: Number | None = None
    relative_position: Annotated[list[Number], msgspec.Meta(min_length=4, max_length=4)] | None = None


class Faces(msgspec.Struct):
    """The faces in a video."""

    item_id: Id
    face_attrs: list[Face]


#: What one line of a file says that no other file says.
FIELDS = {"--titles": "title_features", "--video": "video_feature_dim_128", "--audio": "audio_feature_128_dim", "--faces": "face_attrs"}


def titles(raw: RawFile) -> LineShape[Title]:
    """Lines of the titles; `SourceError` if the file is another."""
    return LineShape("staged_titles", _decoder(raw, Title, "--titles"), _nothing_to_vet, _title_rows)


def faces(raw: RawFile) -> LineShape[Faces]:
    """Lines of the face attributes; `SourceError` if the file is another."""
    return LineShape("staged_faces", _decoder(raw, Faces, "--faces"), _nothing_to_vet, _face_rows)


def video(raw: RawFile) -> LineShape[Video]:
    """Lines of the vectors of what is seen; `SourceError` if the file is another."""
    return LineShape("staged_vectors", _decoder(raw, Video, "--video"), _nothing_to_vet, lambda records: _vector_rows(records, Modality.VISUAL))


def audio(raw: RawFile) -> LineShape[Audio]:
    """Lines of the vectors of what is heard; `SourceError` if the file is another."""
    return LineShape("staged_vectors", _decoder(raw, Audio, "--audio"), _nothing_to_vet, lambda records: _vector_rows(records, Modality.AUDIO))


def _decoder(raw: RawFile, kind: type[Record], flag: str) -> Callable[[bytes], Record]:
    """One line to a record, once one of the first lines of the file has been seen to be one."""
    decode, refusals = _lenient(kind), []
    lines = first_lines(raw.path, n=LINES_LOOKED_AT)
    for line in lines:
        try:
            decode(line)
        except REFUSALS as error:
            refusals.append(error)
        else:
            return decode
    other = next((of for of, field in FIELDS.items() if of != flag and any(f'"{field}"'.encode() in line for line in lines)), None)
    hint = f"It looks like the file for {other}." if other else f"Needed are JSON lines with item_id and {FIELDS[flag]}."
    raise SourceError(f"{raw.path} is another kind of file than {flag} reads; line 1 is refused: {refusals[0]}. {hint}")


def _lenient(kind: type[Record]) -> Callable[[bytes], Record]:
    """One JSON line to a record. NaN and infinities, which JSON does not know but Python writes, are numbers here."""
    decode = msgspec.json.Decoder(kind).decode

    def read(line: bytes) -> Record:
        try:
            return decode(line)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if not any(word in line for word in NOT_JSON):
                raise
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if value is None:
                raise
            return msgspec.convert(value, kind, str_keys=True)

    return read


def _nothing_to_vet(_: object) -> None:
    """Decoding has refused all there is to refuse."""


def _title_rows(records: list[Title]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item_id": [record.item_id for record in records],
            "words": [list(record.title_features) for record in records],
            "counts": [list(record.title_features.values()) for record in records],
        },
        schema={"item_id": pl.Int64, "words": pl.List(pl.Int32), "counts": pl.List(pl.Int32)},
    )


def _face_rows(records: list[Faces]) -> pl.DataFrame:
    schema = {"gender": pl.List(pl.Int32), "beauty": pl.List(pl.Float32), "relative_position": pl.List(pl.List(pl.Float32))}
    columns = {name: [[getattr(face, name) for face in record.face_attrs] for record in records] for name in schema}
    return pl.DataFrame({"item_id": [record.item_id for record in records], **columns}, schema={"item_id": pl.Int64, **schema})


def _vector_rows(records: Sequence[Video | Audio], modality: Modality) -> pl.DataFrame:
    widths = [len(record.vector) for record in records]
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and then a reject
        rows = np.array([record.vector if n == WIDTH else [0.0] * WIDTH for record, n in zip(records, widths, strict=True)], dtype=np.float32)
    return pl.DataFrame(
        {
            "modality": [modality.value] * len(records),
            "item_id": [record.item_id for record in records],
            "width": widths,
            "vector": pl.Series(rows.reshape(-1, WIDTH), dtype=pl.Array(pl.Float32, WIDTH)),
        },
        schema_overrides={"item_id": pl.Int64, "width": pl.Int64},
    )
