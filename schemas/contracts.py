"""The words both sides use: modalities, statuses, settings, parts, reasons, and the rows that carry them.

Their spelling here is their spelling in the store.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Modality(StrEnum):
    """A kind of content an item may have. Declaration order is the order of columns and of M axes."""

    VISUAL = "visual"
    TEXT = "text"
    AUDIO = "audio"


class AssetStatus(StrEnum):
    """What became of one piece of content.

    `OK` has content (and, for media, was decoded); `PENDING` is a local file nobody has read yet;
    `NOT_FETCHED` is an address nobody has fetched yet; every other status says why there is nothing.
    """

    OK = "ok"
    PENDING = "pending"
    NOT_FETCHED = "not_fetched"
    ABSENT = "absent"
    FETCH_ERROR = "fetch_error"
    DECODE_ERROR = "decode_error"
    TOO_SHORT = "too_short"
    SILENT = "silent"


class Several(StrEnum):
    """What becomes of several pictures, videos or sounds of one item: the mean of all that are usable, or the first that is."""

    MEAN = "mean"
    FIRST = "first"


class Part(StrEnum):
    """The part of a split that an item, and all its interactions, belongs to."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Setting(StrEnum):
    """Where modalities are lost: training and test, each Full or Missing."""

    FTFT = "ftft"
    FTMT = "ftmt"
    MTFT = "mtft"
    MTMT = "mtmt"

    @property
    def training_loses(self) -> bool:
        """Whether training items lose modalities."""
        return self.value.startswith("m")

    @property
    def test_loses(self) -> bool:
        """Whether validation and test items lose modalities."""
        return self.value[2] == "m"


class RejectReason(StrEnum):
    """Why a raw line or asset was refused or dropped."""

    NOT_UTF8 = "not_utf8"
    LINE_TOO_LONG = "line_too_long"
    MALFORMED = "malformed"
    WRONG_TYPE = "wrong_type"
    MISSING_KEY = "missing_key"
    DUPLICATE_LINE = "duplicate_line"
    DUPLICATE_ITEM = "duplicate_item"
    DUPLICATE_PAIR = "duplicate_pair"
    BELOW_CORE = "below_core"
    NO_INTERACTIONS = "no_interactions"
    NOT_FINITE = "not_finite"
    ALL_ZERO = "all_zero"
    WRONG_WIDTH = "wrong_width"
    WITHOUT_ITEM = "without_item"
    LISTED_MISSING = "listed_missing"
    DECODE_ERROR = "decode_error"


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """What made a feature set, precisely enough to make it again.

    Args:
        encoder: plugin name, e.g. `transformers-text`; `imported` for vectors that came ready-made.
        weights: hub name, folder, file, or `none` for encoders without weights.
        weights_sha256: digest of the weight file, empty where there is none.
        width: length of a vector.
        pooling: how pieces become one vector, e.g. `mean`.
        parameters: every other setting that changes a vector, JSON-serialisable.
        versions: versions of the libraries that computed it.
    """

    encoder: str
    weights: str
    weights_sha256: str
    width: int
    pooling: str
    parameters: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """One encoder run over one modality; see the table `feature_sets`."""

    feature_set_id: int
    modality: Modality
    identity: EncoderIdentity
    fingerprint: str
