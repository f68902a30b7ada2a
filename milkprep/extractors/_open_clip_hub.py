"""Well-known models of the open_clip library, and the files of its tags: in the hub's cache, or fetched from the hub.

Imports no torch, so that what there is can be listed at once.
"""

from pathlib import Path

from milkprep.encoder import Offer
from milkprep.extractors._weights import HUB_TIMEOUT_S, quiet_hub
from schemas.errors import WeightsMissing

MODEL, TAG = "ViT-B-32", "laion2b_s34b_b79k"
#: How a folder names its weights, best first.
FILES = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin",
)  # fmt: skip
#: How a hub repository does where a tag names no file; `model.safetensors` is in another library's layout there.
HUB_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
#: Well-known models: name, tag, width of a vector, hub repository.
KNOWN = (
    (MODEL, TAG, 512, "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
    ("ViT-B-32-quickgelu", "openai", 512, "timm/vit_base_patch32_clip_224.openai"),
    ("ViT-B-16", "laion2b_s34b_b88k", 512, "laion/CLIP-ViT-B-16-laion2B-s34B-b88K"),
    ("ViT-L-14", "laion2b_s32b_b82k", 768, "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"),
    ("ViT-L-14", "datacomp_xl_s13b_b90k", 768, "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K"),
    ("ViT-H-14", "laion2b_s32b_b79k", 1024, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
    ("ViT-bigG-14", "laion2b_s39b_b160k", 1280, "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"),
    ("convnext_base_w", "laion2b_s13b_b82k", 640, "laion/CLIP-convnext_base_w-laion2B-s13B-b82K"),
    ("ViT-B-16-SigLIP", "webli", 768, "timm/ViT-B-16-SigLIP"),
    ("ViT-SO400M-14-SigLIP-384", "webli", 1152, "timm/ViT-SO400M-14-SigLIP-384"),
)
WAYS_OUT = "Connect to the network, or give the weights as a file (.safetensors, .pt, .bin) or a folder with --weights."


def offers() -> list[Offer]:
    """Well-known models, and whether the hub's cache has them; the library knows more."""
    return [Offer(model, tag, width, "hub, file", is_here=cached(f"{repository}/") is not None) for model, tag, width, repository in KNOWN]


def cached(place: str) -> Path | None:
    """The weights of a tag in the hub's cache; None where they are not.

    Args:
        place: `owner/repository/`, or with a file name behind it.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, names = _names(place)
    found = [try_to_load_from_cache(repository, name) for name in names]
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _names(place: str) -> tuple[str, tuple[str, ...]]:
    """Repository and file names of a place, safetensors first."""
    owner, repository, name = place.split("/", 2)
    return f"{owner}/{repository}", (f"{Path(name).stem}.safetensors", name) if name else HUB_FILES


def file_of(place: str, *, what: str, free: str) -> Path:
    """The file of a tag, from the cache or the hub: safetensors where there are some.

    Args:
        place: `owner/repository/`, or with a file name behind it.
        what: model and tag, for messages.
        free: an encoder of the same modality that needs no weights, for messages.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    repository, names = _names(place)
    if here := cached(place):
        return here
    # The second base is an error of the HTTP library, which differs between the hub's releases.
    unreachable: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    with quiet_hub():
        try:
            model = HfApi().model_info(repository, timeout=HUB_TIMEOUT_S)
            held = {sibling.rfilename for sibling in model.siblings or ()}
            file = next((name for name in names if name in held), None)
            if file:
                return Path(hf_hub_download(repository, file, revision=model.sha))
        except RepositoryNotFoundError as error:
            raise WeightsMissing(f"The hub shows no {repository}, where {what} was. {WAYS_OUT}") from error
        except unreachable as error:
            raise WeightsMissing(
                f"The weights {what} are not on this machine and the hub cannot be reached. {WAYS_OUT} `--encoder {free}` needs none."
            ) from error
    raise WeightsMissing(f"{repository} on the hub holds no weights of {what} in a format that is read. {WAYS_OUT}")
