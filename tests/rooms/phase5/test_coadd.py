"""Planes of a tile that are reprojected together are those that are reprojected one by one."""

import gc
import threading
import weakref

import numpy as np
import pytest
from astropy.wcs import WCS
from reproject import reproject_interp

from zemosaic_twopass.phase5 import coadd, interpolate
from zemosaic_twopass.phase5.coadd import SharedReprojection

SHAPE = (30, 40)
OUT = (44, 52)
GAINS = [0.9, 1.1]


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
    return list(tiles), weights, [wcs_of(0.1), wcs_of(-0.2, 9.0)]


@pytest.fixture(params=[False, True], ids=["small", "large"])
def size(request, monkeypatch):
    """The tiles lie in memory, or are mapped from the file."""
    if request.param:
        monkeypatch.setattr(coadd, "MAPPED_BEYOND", 0)


@pytest.fixture
def calls(monkeypatch):
    """Every call of `reproject_interp` that is made for tiles and planes."""
    made = []

    def count(*args, **kwargs):
        made.append(args)
        return reproject_interp(*args, **kwargs)

    for module in (coadd, interpolate):
        monkeypatch.setattr(module, "reproject_interp", count)
    return made


def asked(shared, array, wcs, **kwargs):
    return shared.reproject((array, wcs), wcs_of(), shape_out=OUT, **kwargs)


def test_same_as_plane_by_plane_with_one_reprojection_a_tile(sky, calls, size):
    tiles, weights, wcs = sky
    with SharedReprojection(tiles, GAINS, weights) as shared:
        for channel in range(3):
            for index, of in enumerate(wcs):
                corrected = tiles[index][..., channel] * np.float32(GAINS[index])
                plane = shared.planes(channel)[index]
                np.testing.assert_array_equal(plane, corrected)
                for found, expected in zip(
                    asked(shared, plane, of), reproject_interp((corrected, of), wcs_of(), OUT), strict=True
                ):
                    np.testing.assert_array_equal(found, expected)
                    assert found.dtype == expected.dtype
                    # As the coadd does: nobody else gets to see that.
                    found[:] = 7
                found = asked(shared, shared.weights[index], of, return_footprint=False)
                expected = reproject_interp((weights[index], of), wcs_of(), OUT, return_footprint=False)
                np.testing.assert_array_equal(found, expected)
                found[:] = 7
                looked_at, good = shared.view_plane(index, channel)
                np.testing.assert_array_equal(good, ~np.isnan(looked_at) & (expected > 0))
    assert len(calls) == 2


def test_no_weights_and_no_gains(sky, calls):
    tiles, _, (wcs, _) = sky
    with SharedReprojection(tiles) as shared:
        assert shared.weights is None
        for channel in range(3):
            plane = shared.planes(channel)[0]
            assert np.shares_memory(plane, tiles[0]), "a tile as given is not copied"
            expected = reproject_interp((plane, wcs), wcs_of(), OUT, return_footprint=False)
            np.testing.assert_array_equal(asked(shared, plane, wcs, return_footprint=False), expected)
            looked_at, good = shared.view_plane(0, channel)
            np.testing.assert_array_equal(looked_at, expected)
            np.testing.assert_array_equal(good, ~np.isnan(expected))
    assert len(calls) == 1


def test_a_plane_of_somebody_else(sky, calls):
    tiles, weights, (wcs, _) = sky
    with SharedReprojection(tiles, GAINS, weights) as shared:
        other = shared.planes(0)[0].copy()
        np.testing.assert_array_equal(asked(shared, other, wcs), reproject_interp((other, wcs), wcs_of(), OUT))
    assert len(calls) == 1


def test_who_watches_sees_whole_tiles_and_nobody_else_holds_them_afterwards(sky, size):
    tiles, weights, _ = sky
    shared = SharedReprojection(tiles, GAINS, weights)
    with shared:
        planes = [shared.planes(channel)[1] for channel in range(3)]
        assert len({id(plane.base) for plane in planes}) == 1
        assert planes[0].base.shape == (*SHAPE, 3)
        assert shared.planes(0)[-1] is planes[0]
        assert isinstance(shared.planes(0), type(shared.weights))
    gone = weakref.ref(planes[0].base)
    gc.disable()
    try:
        kept = planes.pop()
        del planes
        assert gone() is not None
        del kept
        assert gone() is None
    finally:
        gc.enable()


def test_mapped_tiles_outlive_the_file_and_are_made_once(sky, monkeypatch):
    tiles, weights, _ = sky
    monkeypatch.setattr(coadd, "MAPPED_BEYOND", 0)
    with SharedReprojection(tiles, GAINS, weights) as shared:
        first, second = shared.planes(0)[0], shared.planes(0)[1]
        end = shared._scratch._end
        del second
        second = shared.planes(0)[1]
        assert shared._scratch._end == end
    np.testing.assert_array_equal(first, tiles[0][..., 0] * np.float32(GAINS[0]))
    np.testing.assert_array_equal(second, tiles[1][..., 0] * np.float32(GAINS[1]))


def test_without_proof_the_way_back_is_taken(sky, calls, monkeypatch):
    tiles, weights, (wcs, _) = sky
    monkeypatch.setattr(coadd, "interpolate", None)
    wcs.wcs.ctype = "RA---ZEA", "DEC--ZEA"
    with SharedReprojection(tiles, None, weights) as shared:
        plane = shared.planes(1)[0]
        np.testing.assert_array_equal(asked(shared, plane, wcs), reproject_interp((plane, wcs), wcs_of(), OUT))
    assert len(calls) == 1


def test_channels_in_threads(sky, calls):
    tiles, weights, wcs = sky
    found, together = {}, threading.Barrier(3)
    with SharedReprojection(tiles, GAINS, weights) as shared:

        def work(channel):
            together.wait()
            for index in range(2):
                found[channel, index] = asked(shared, shared.planes(channel)[index], wcs[index].deepcopy())[0]

        threads = [threading.Thread(target=work, args=(channel,)) for channel in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(calls) == 2
    for (channel, index), plane in found.items():
        corrected = tiles[index][..., channel] * np.float32(GAINS[index])
        np.testing.assert_array_equal(plane, reproject_interp((corrected, wcs[index]), wcs_of(), OUT)[0])


def test_looking_at_one_channel_does_not_disturb_another_that_is_read(sky):
    tiles, weights, (wcs, other) = sky
    with SharedReprojection(tiles, GAINS, weights) as shared:
        for index, own in enumerate((wcs, other)):
            shared.prepare(index, own, wcs_of(), OUT)
        expected, stop, wrong = shared.read_plane(0, 0), threading.Event(), []

        def look():
            while not stop.is_set():
                shared.view_plane(1, 1)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(2000):
                if not np.array_equal(shared.read_plane(0, 0), expected, equal_nan=True):
                    wrong.append(1)
        finally:
            stop.set()
            thread.join()
    assert not wrong
