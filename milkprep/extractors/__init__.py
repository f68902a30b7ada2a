"""Encoders, one file each; the folder is the registry.

A plugin module has `MODALITY`, `ACCEPTS` (names of the fields of `EncoderOptions` that mean something to it),
`build(options) -> Encoder`, `offers() -> list[Offer]`, and, where it embeds files, `preparer(preparation) -> Preparer`. Its public
name is its file name with `-` for `_`. Listing and naming import no torch: only `build` does.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from milkprep.encoder import Encoder, EncoderOptions, Offer, refuse_unknown_options
from schemas import plugins
from schemas.contracts import Modality
from schemas.errors import BadValue, UnknownName

#: What `extract` uses where no encoder is named. Weight-free encoders are never chosen unasked.
DEFAULTS = {Modality.TEXT: "transformers-text", Modality.VISUAL: "open-clip", Modality.AUDIO: "torchaudio-pipelines"}
#: The one that a hub name or a folder means in place of an encoder's name.
TEXT_PLUGIN = "transformers-text"
#: Those that take a hub name or a folder as weights.
OF_TRANSFORMERS = {Modality.TEXT: TEXT_PLUGIN, Modality.VISUAL: "transformers-vision", Modality.AUDIO: "transformers-audio"}


@dataclass(frozen=True, slots=True)
class Resolved:
    """An encoder's name, understood but not built.

    Args:
        name: public name of the plugin.
        plugin: its module.
        weights: hub name or folder that was given in place of a plugin's name.
    """

    name: str
    plugin: ModuleType
    weights: str | None

    def build(self, options: EncoderOptions) -> Encoder[Any, Any]:
        """The encoder, its weights loaded.

        Args:
            options: what the user chose.

        Raises:
            BadValue: if an option means nothing to this encoder or is out of its range.
            WeightsMissing: if weights are not on this machine and cannot be fetched.
        """
        if self.weights and options.weights:
            raise BadValue(f"--encoder {self.weights} names weights, and so does --weights {options.weights}. Leave one of them out.")
        refuse_unknown_options(options, accepts=self.plugin.ACCEPTS, encoder=self.name)
        encoder: Encoder[Any, Any] = self.plugin.build(replace(options, weights=self.weights or options.weights))
        return encoder


def resolve(modality: Modality, name: str | None) -> Resolved:
    """What a user means by an encoder's name.

    Args:
        modality: what is to be embedded.
        name: a plugin (`hashed-ngrams`); for text also a hub name (`owner/model`) or a local folder; None for the default.

    Raises:
        UnknownName: if nothing answers to the name; the message gives the nearest spelling.
        BadValue: if the encoder embeds another modality.
    """
    name = name or DEFAULTS[modality]
    if name in plugins.names(__name__):
        return _of_plugin(modality, name)
    if modality is Modality.TEXT and ("/" in name or Path(name).is_dir()):
        return Resolved(TEXT_PLUGIN, plugins.load(__name__, TEXT_PLUGIN), name)
    if modality is Modality.TEXT:
        hint = "A model of the hub is written owner/name, a folder of yours with a slash."
    else:
        hint = f"A model of the hub or a folder is named with --encoder {OF_TRANSFORMERS[modality]} --weights NAME."
    try:
        plugins.check_known(name, names(modality), what=f"encoder of {modality} content")
    except UnknownName as error:
        raise UnknownName(f"{error} {hint}") from error
    raise AssertionError("a known name was resolved above")


def names(modality: Modality) -> list[str]:
    """Public names of the encoders of a modality."""
    return [name for name in plugins.names(__name__) if plugins.load(__name__, name).MODALITY is modality]


def offered() -> Iterator[tuple[str, Modality, Offer]]:
    """Everything that encoders offer: the encoder's name, what it embeds, and the offer; no weights are read."""
    for name in plugins.names(__name__):
        plugin = plugins.load(__name__, name)
        for offer in plugin.offers():
            yield name, plugin.MODALITY, offer


def _of_plugin(modality: Modality, name: str) -> Resolved:
    plugin = plugins.load(__name__, name)
    if plugin.MODALITY is not modality:
        raise BadValue(f"The encoder {name} embeds {plugin.MODALITY}, not {modality}. Give --modality {plugin.MODALITY} or another encoder.")
    return Resolved(name, plugin, None)
