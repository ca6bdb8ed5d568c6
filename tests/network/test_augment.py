import pytest
import torch
from torch import Generator

from catbuilder.core.recipe import Augmentation
from catbuilder.network.augment import augment, gaussian_blur, geometry, survey_shift

NOTHING = Augmentation(flip=False, rotation_degrees=0, shift=0, zoom=0)
EVERYTHING = Augmentation(
    grey=1, channel_gain=0.2, gamma=0.3, contrast=0.3, background=0.1, noise=0.1, blur=1.5, rotation_degrees=180
)


def images(n: int = 6, size: int = 32) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=Generator().manual_seed(0))


def seeded(seed: int = 1) -> Generator:
    return Generator().manual_seed(seed)


def test_with_every_setting_off_the_images_come_back_as_they_are():
    torch.testing.assert_close(augment(images(), NOTHING, seeded()), images(), atol=1e-5, rtol=0)


def test_the_generator_alone_decides():
    torch.manual_seed(5)
    first = augment(images(), EVERYTHING, seeded())
    torch.manual_seed(6)
    assert torch.equal(first, augment(images(), EVERYTHING, seeded()))
    assert not torch.equal(first, augment(images(), EVERYTHING, seeded(2)))


def test_the_input_is_left_alone_and_the_result_stays_in_range():
    before = images()
    after = augment(before, EVERYTHING, seeded())
    assert torch.equal(before, images())
    assert after.min() >= 0 and after.max() <= 1


@pytest.mark.parametrize(
    "setting", ["grey", "channel_gain", "gamma", "contrast", "background", "noise", "blur", "shift", "zoom"]
)
def test_every_setting_changes_the_images_and_each_image_has_its_own_draw(setting):
    same = images(1).expand(4, -1, -1, -1).contiguous()
    after = augment(same, NOTHING.model_copy(update={setting: 0.9}), seeded())
    assert not torch.allclose(after[0], same[0], atol=1e-3)
    assert not torch.allclose(after[0], after[1], atol=1e-3)


def test_geometry_moves_light_but_keeps_colours():
    grey = images().mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    after = geometry(grey, EVERYTHING, seeded())
    torch.testing.assert_close(after[:, 0], after[:, 2])


def test_flips_alone_are_exact_mirror_images():
    before = images(8)
    after = augment(before, NOTHING.model_copy(update={"flip": True}), seeded())
    for image, flipped in zip(before, after, strict=True):
        views = [image, image.flip(1), image.flip(2), image.flip(1, 2)]
        assert any(torch.allclose(flipped, view, atol=1e-5) for view in views)


def test_a_rotation_turns_and_does_not_shear():
    disc = torch.zeros(8, 3, 64, 64)
    y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
    disc[:] = torch.exp(-(x**2 + y**2) / 100)
    after = geometry(disc, NOTHING.model_copy(update={"rotation_degrees": 180.0}), seeded())
    torch.testing.assert_close(after, disc, atol=0.01, rtol=0)


def test_blur_keeps_the_light_and_zero_blur_keeps_the_image():
    point = torch.zeros(2, 3, 33, 33)
    point[:, :, 16, 16] = 1.0
    sharp, soft = gaussian_blur(point, torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(sharp, point[0])
    assert soft.sum() == pytest.approx(3.0, rel=1e-4)
    assert soft[0, 16, 18] / soft[0, 16, 16] == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), rel=1e-3)


def test_survey_shift_does_not_move_anything():
    point = torch.zeros(4, 3, 33, 33)
    point[:, :, 5, 20] = 1.0
    settings = EVERYTHING.model_copy(update={"noise": 0.0, "grey": 0.0})
    after = survey_shift(point, settings, seeded()).mean(1).flatten(1)
    assert after.argmax(1).tolist() == [5 * 33 + 20] * 4
