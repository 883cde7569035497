"""Bits of a tile: which products are exact, and which are not."""

import numpy as np
import pytest

from zemosaic_twopass.measure.bits import fingerprint, is_product


@pytest.fixture
def tile():
    found = np.random.default_rng(4).normal(1000, 30, (40, 50, 3)).astype(np.float32)
    found[3:6] = np.nan
    return found


def test_the_product_and_no_other(tile):
    corrected = tile * np.float32(0.93)
    assert is_product(corrected, tile, 0.93)
    assert is_product(corrected[..., :1], tile[..., 0], 0.93)
    assert not is_product(corrected, tile, 0.94)
    assert not is_product(corrected[1:], tile, 0.93)
    corrected.view(np.uint32)[-1, -1, -1] ^= np.uint32(1)
    assert not is_product(corrected, tile, 0.93)


def test_other_dtypes_are_made_float32_first(tile):
    given = np.nan_to_num(tile).astype(np.int16)
    assert is_product((given.astype(np.float32) * np.float32(1.1)).astype(">f4"), given, 1.1)


@pytest.mark.parametrize("shape", [(0, 5000, 3), (5, 0, 3), (0, 0)])
def test_nothing_is_the_product_of_nothing(shape):
    assert is_product(np.empty(shape, np.float32), np.empty(shape), 1.0)


def test_fingerprints_tell_values_and_layouts_apart(tile):
    variants = [tile, tile[::-1], tile.astype(">f4"), tile[..., 0], tile.reshape(50, 40, 3)]
    assert len(set(map(fingerprint, variants))) == len(variants)
    assert fingerprint(tile[:, ::2]) == fingerprint(tile[:, ::2].copy())
