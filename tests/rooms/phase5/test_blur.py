"""A blur that leaves out what does not change: scipy's, to the bit."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from zemosaic_twopass.phase5 import blur
from zemosaic_twopass.phase5.blur import blur_by_gaussian

SHAPE = (90, 130)


def patches(shape, count=4, seed=2):
    """Overlapping rectangles, as tiles cover a mosaic: mostly flat."""
    rng, image = np.random.default_rng(seed), np.zeros(shape, np.float32)
    for _ in range(count):
        top, left = (rng.integers(0, n) for n in shape)
        image[top : top + shape[0] // 3, left : left + shape[1] // 3] += np.float32(rng.random())
    return image


IMAGES = {
    "flat": np.full(SHAPE, np.float32(0.1)),
    "nothing": np.zeros(SHAPE, np.float32),
    "noise": np.random.default_rng(1).random(SHAPE, dtype=np.float32),
    "patches": patches(SHAPE),
    "far apart": np.pad(patches((30, 40)), ((0, 60), (90, 0))),
    "one pixel": np.eye(1, 90 * 130, 60 * 130 + 70, dtype=np.float32).reshape(SHAPE),
    "last pixel": np.eye(1, 90 * 130, 90 * 130 - 1, dtype=np.float32).reshape(SHAPE),
    "half": np.repeat(np.float32([[1], [3]]), 45, axis=0) * np.ones(130, np.float32),
    "row": patches((1, 130)),
    "column": patches((130, 1)),
    "pixel": np.ones((1, 1), np.float32),
    "two": np.float32([[1, 2]]),
}


@pytest.mark.parametrize("sigma", [0, 1e-16, 0.1, 0.5, 2, 7.3, 50])
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_same_bits(image, sigma):
    for given in (image, image > 0.2):
        before = given.copy()
        found = blur_by_gaussian(given, sigma)
        expected = gaussian_filter(given, sigma, truncate=4.0, output=np.float32)
        assert found.dtype == np.float32
        assert found.tobytes() == expected.tobytes()
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("seed", range(8))
def test_same_bits_of_many_patches(seed):
    image = patches((200, 260), 12, seed)
    assert blur_by_gaussian(image, 5).tobytes() == gaussian_filter(image, 5, truncate=4.0).tobytes()


def test_what_does_not_change_is_left_out(monkeypatch):
    computed, real = [], blur.gaussian_filter1d

    def count(part, *args, **kwargs):
        computed.append(part.size)
        return real(part, *args, **kwargs)

    monkeypatch.setattr(blur, "gaussian_filter1d", count)
    image = np.zeros((400, 500), bool)
    image[40:-40, 30:-30] = True
    found = blur_by_gaussian(image, 5)
    # 40 px along each edge that changes, in the lines that meet it.
    assert sum(computed) < 0.45 * 2 * image.size
    assert found.tobytes() == gaussian_filter(image, 5, truncate=4.0, output=np.float32).tobytes()
