"""An encoder once more: from what a feature set says of itself to the options that make the same vectors."""

from pathlib import Path

from milkprep import extractors
from milkprep.encoder import RANDOM, EncoderOptions
from schemas.contracts import EncoderIdentity, FeatureSet

#: Encoders whose weights do not say which network they are for.
NAMES_ITS_MODEL = ("open-clip", "open-clip-text", "torchaudio-pipelines")
#: Networks of `transformers-audio` whose window is their own and cannot be chosen.
OWN_WINDOW = ("clap_audio_model", "audio-spectrogram-transformer")


def options_of(feature_set: FeatureSet) -> EncoderOptions:
    """What a user would have to choose to get these vectors again, on any device.

    Raises:
        UnknownName: if there is no such encoder here.
    """
    identity, said = feature_set.identity, feature_set.identity.parameters
    accepts = extractors.resolve(feature_set.modality, identity.encoder).plugin.ACCEPTS
    weights = identity.weights if "weights" in accepts else None
    window = None if said.get("kind") in OWN_WINDOW or "window" not in said else int(str(said["window"])) / int(str(said["rate"]))
    found = {
        "model": _model(identity, weights), "weights": None if weights == said.get("model") else weights,
        "pooling": identity.pooling, "prefix": said.get("prefix") or None, "normalise": bool(said.get("normalise", False)),
        "max_length": said.get("max_length"), "frames": said.get("frames"), "frame_choice": said.get("frame_choice"), "window": window,
        "precision": said.get("precision", "fp32"),
    }  # fmt: skip
    return EncoderOptions(**{name: value for name, value in found.items() if name in accepts})  # type: ignore[arg-type] # written as options before


def _model(identity: EncoderIdentity, weights: str | None) -> str | None:
    says_itself = identity.encoder not in NAMES_ITS_MODEL or (weights is not None and Path(weights).is_dir())
    model = identity.parameters.get("model")
    return None if model is None or (says_itself and weights != RANDOM) else str(model)


def differences(wanted: EncoderIdentity, made: EncoderIdentity) -> list[str]:
    """In what another identity makes other vectors than the wanted one, in words; the same weights under another name make the same.

    Example:
        >>> a = EncoderIdentity("log-mel", "none", "", 128, "mean")
        >>> differences(a, EncoderIdentity("log-mel", "none", "", 64, "mean"))
        ['width 64, not 128']
    """
    names = ["weights_sha256", "width", "pooling"] + ([] if wanted.weights_sha256 else ["weights"])
    found = [(name, getattr(made, name), getattr(wanted, name)) for name in names]
    found += [(name, made.parameters.get(name), wanted.parameters.get(name)) for name in sorted({*made.parameters, *wanted.parameters})]
    return [f"{name} {now!r}, not {then!r}" for name, now, then in found if now != then]
