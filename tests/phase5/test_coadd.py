"""Planes of a tile that are reprojected together are those that are reprojected one by one."""

import threading

import numpy as np
import pytest
from astropy.wcs import WCS
from reproject import reproject_interp

from zemosaic_twopass.phase5 import coadd
from zemosaic_twopass.phase5.coadd import SharedReprojection

SHAPE = (30, 40)
OUT = (44, 52)


def wcs_of(angle=0.0, shift=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ("RA---TAN", "DEC--TAN"), (80.0, 20.0), (20.0 + shift, 15.0)
    sine, cosine = np.sin(angle), np.cos(angle)
    wcs.wcs.cd = 1e-3 * np.array([[-cosine, sine], [sine, cosine]])
    return wcs


@pytest.fixture
def sky():
    """Two tiles of three channels with NaN in them, their weights, and their WCS."""
    rng = np.random.default_rng(7)
    tiles = rng.normal(1000, 50, (2, *SHAPE, 3)).astype(np.float32)
    tiles[rng.random(tiles.shape) < 0.05] = np.nan
    weights = list((rng.random((2, *SHAPE)) > 0.2).astype(np.float32))
    return [[tile[..., channel] for tile in tiles] for channel in range(3)], weights, [wcs_of(0.1), wcs_of(-0.2, 9.0)]


@pytest.fixture
def calls(monkeypatch):
    """Every call of `reproject_interp` that is made through the module."""
    made = []

    def count(*args, **kwargs):
        made.append(args)
        return reproject_interp(*args, **kwargs)

    monkeypatch.setattr(coadd, "reproject_interp", count)
    return made


def asked(shared, array, wcs, **kwargs):
    return shared.reproject((array, wcs), wcs_of(), shape_out=OUT, **kwargs)


def test_same_as_plane_by_plane_with_one_reprojection_a_tile(sky, calls):
    channels, weights, wcs = sky
    shared = SharedReprojection(channels, weights)
    for planes in channels:
        for plane, weight, of in zip(planes, weights, wcs, strict=True):
            for found, expected in zip(
                asked(shared, plane, of), reproject_interp((plane, of), wcs_of(), OUT), strict=True
            ):
                np.testing.assert_array_equal(found, expected)
                assert found.dtype == expected.dtype
            found = asked(shared, weight, of, return_footprint=False)
            np.testing.assert_array_equal(found, reproject_interp((weight, of), wcs_of(), OUT, return_footprint=False))
    assert len(calls) == 2


def test_what_the_coadd_writes_into_comes_to_no_other_channel(sky):
    channels, weights, (wcs, _) = sky
    shared = SharedReprojection(channels, weights)
    for planes in channels:
        plane, footprint = asked(shared, planes[0], wcs)
        weight = asked(shared, weights[0], wcs, return_footprint=False)
        np.testing.assert_array_equal(weight, asked(SharedReprojection(channels, weights), weights[0], wcs)[0])
        plane[:] = footprint[:] = weight[:] = 7


def test_no_weights(sky, calls):
    channels, _, (wcs, _) = sky
    shared = SharedReprojection(channels)
    found = [asked(shared, planes[0], wcs, return_footprint=False) for planes in channels]
    for plane, planes in zip(found, channels, strict=True):
        np.testing.assert_array_equal(plane, reproject_interp((planes[0], wcs), wcs_of(), OUT, return_footprint=False))
        assert plane.base is None, "a view would keep all planes of the tile"
    assert len(calls) == 1
    asked(shared, channels[0][0], wcs)
    assert len(calls) == 2, "what was handed out is not kept"


def test_a_plane_of_no_tile(sky, calls):
    channels, weights, (wcs, _) = sky
    shared = SharedReprojection(channels, weights)
    other = channels[0][0] * 2
    np.testing.assert_array_equal(asked(shared, other, wcs), reproject_interp((other, wcs), wcs_of(), OUT))
    assert len(calls) == 1


def test_planes_that_cannot_be_shared(sky, calls):
    """One plane in two tiles, and weights of another kind: done one by one, each where its own WCS says."""
    channels, weights, wcs = sky
    both = weights[0], weights[0]
    counts = [np.full(SHAPE, 16777217, dtype=np.int32), weights[1]]
    for own in (both, counts):
        shared = SharedReprojection(channels[:1], own)
        for plane, weight, of in zip(channels[0], own, wcs, strict=True):
            for array in (weight, plane):
                found = asked(shared, array, of, return_footprint=False)
                expected = reproject_interp((array, of), wcs_of(), OUT, return_footprint=False)
                np.testing.assert_array_equal(found, expected)
    assert len(calls) == 4 + 3


def test_channels_in_threads(sky, calls):
    channels, weights, wcs = sky
    shared, found = SharedReprojection(channels, weights), {}
    together = threading.Barrier(3)

    def work(channel):
        together.wait()
        for index in range(2):
            found[channel, index] = asked(shared, channels[channel][index], wcs[index].deepcopy())[0]

    threads = [threading.Thread(target=work, args=(channel,)) for channel in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 2
    for (channel, index), plane in found.items():
        expected, _ = reproject_interp((channels[channel][index], wcs[index]), wcs_of(), OUT)
        np.testing.assert_array_equal(plane, expected)
