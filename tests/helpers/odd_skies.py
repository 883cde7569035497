"""Second passes nobody would plan: tiny, empty, far apart, at the pole, in any dtype and memory order."""

from dataclasses import dataclass

import numpy as np
from astropy.wcs import WCS, Sip
from hypothesis import strategies as st

DTYPES = ("f4", "f8", "f2", ">f4", ">f8", "u1", "i2", ">i2", "u2", "i4", "i8", "?")
LAYOUTS = ("C", "F", "reversed", "strided", "planes", "read_only")
HOLES = ("none", "some", "edge", "one_tile", "all", "infinite")
LEVELS = ("noise", "constant", "zero", "huge")
CENTRES = ((83.8, -5.4), (180.0, 0.0), (0.0, 0.0), (359.9999, 12.0), (10.0, 89.999), (200.0, -90.0))
PLACES = ("near", "turned", "sip", "pc_cdelt", "finer", "cylinder")
STRAY = ("far", "antipode")
GAINS = (None, 0.0, -1.0, np.nan, np.inf, 1e30, 1e-30, 1.0)
MASKS = ("none", "ones", "holes", "zero", "mixed")
FAULTS = (None, "mask_bug", "not_closed", "gain_mismatch", "gain_swapped", "gain_seam")
CLIP = (0.85, 1.18)
_SCALE = 4.0 / 3600


@dataclass(frozen=True)
class OddSky:
    """What one call is made of, in words and small numbers, so that a failing case can be read."""

    seed: int
    shapes: tuple
    places: tuple
    shape_out: tuple
    channels: int
    dtype: str
    layout: str
    holes: str
    level: str
    centre: tuple
    masks: str
    weighted: bool
    coverage: str
    sigma: float
    downsample: int
    gain: float | None
    fault: str | None
    container: type
    merged: bool
    trap: bool


PLAIN = OddSky(
    seed=1,
    shapes=((20, 24), (22, 20)),
    places=("near", "turned"),
    shape_out=(30, 32),
    channels=3,
    dtype="f4",
    layout="C",
    holes="none",
    level="noise",
    centre=(83.8, -5.4),
    masks="ones",
    weighted=True,
    coverage="depth",
    sigma=2.0,
    downsample=8,
    gain=None,
    fault=None,
    container=list,
    merged=False,
    trap=False,
)


@st.composite
def odd_skies(draw, *, count=(0, 4), side=(1, 40), places=PLACES + STRAY, faults=(None,)):
    """Any `OddSky`: legal as a call, however odd. A channel count of 0 stands for tiles of two axes."""
    n, shapes = draw(st.integers(*count)), st.tuples(st.integers(*side), st.integers(*side))
    of = {
        "channels": (0, 1, 3, 4),
        "dtype": DTYPES,
        "layout": LAYOUTS,
        "holes": HOLES,
        "level": LEVELS,
        "centre": CENTRES,
        "masks": MASKS,
        "weighted": (False, True),
        "coverage": ("depth", "depth", "depth", "zero", "nan"),
        "sigma": (0.0, 2.0, 9.0),
        "downsample": (1, 2, 8),
        "gain": GAINS[:1] * 6 + GAINS,
        "fault": faults,
        "container": (list, tuple),
        "merged": (False, True),
        "trap": (False, False, False, True),
    }
    return OddSky(
        seed=draw(st.integers(0, 99)),
        shapes=tuple(draw(st.lists(shapes, min_size=n, max_size=n))),
        places=tuple(draw(st.lists(st.sampled_from(places), min_size=n, max_size=n))),
        shape_out=draw(shapes),
        **{name: draw(st.sampled_from(choices)) for name, choices in of.items()},
    )


@dataclass
class Call:
    """Arguments of a second pass."""

    sky: OddSky
    tiles: list
    wcs: list
    masks: list | None
    weights: list | None
    first: tuple
    final: WCS

    @classmethod
    def of(cls, sky):
        """The same arrays and WCS for the same sky."""
        rng = np.random.default_rng(sky.seed)
        final = odd_wcs(sky.centre, sky.shape_out, rng, "near", 0.0)
        tiles = [_tile(sky, index, shape, rng) for index, shape in enumerate(sky.shapes)]
        wcs = [odd_wcs(sky.centre, shape, rng, place, 8.0) for shape, place in zip(sky.shapes, sky.places, strict=True)]
        depth = rng.integers(0, 5, sky.shape_out).astype(np.float32)
        coverage = {"depth": depth, "zero": 0 * depth, "nan": np.full_like(depth, np.nan)}[sky.coverage]
        mosaic = rng.normal(1000, 10, (*sky.shape_out, max(sky.channels, 1))).astype(np.float32)
        mosaic[~(coverage > 0)] = np.nan
        weights = [float(weight) for weight in rng.uniform(0.5, 2.0, len(tiles))] if sky.weighted else None
        columns = (sky.container(column) for column in (tiles, wcs))
        return cls(sky, *columns, _masks(sky, rng), weights, (mosaic, coverage), final)

    def arrays(self):
        """Every array that the pass is given."""
        return [*self.tiles, *(mask for mask in self.masks or () if mask is not None), *self.first]

    def __call__(self, worker, logger):
        """Seeded and serial; through the merging caller, or directly."""
        np.random.seed(5)
        sky, (mosaic, coverage) = self.sky, self.first
        common = {"logger": logger, "parallel_plan": {"cpu_workers": 1}}
        if not sky.merged:
            return worker.run_second_pass_coverage_renorm(
                *(self.tiles, self.wcs, self.final, coverage, sky.shape_out),
                sigma_px=sky.sigma,
                gain_clip=CLIP,
                tiles_coverage=self.masks,
                tile_weights=self.weights,
                **common,
            )
        columns = self.masks or [None] * len(self.tiles), self.weights or [1.0] * len(self.tiles)
        return worker._apply_two_pass_coverage_renorm_if_requested(
            *(mosaic, coverage),
            two_pass_enabled=True,
            two_pass_sigma_px=sky.sigma,
            gain_clip_tuple=CLIP,
            final_output_wcs=self.final,
            final_output_shape_hw=sky.shape_out,
            collected_tiles=list(zip(self.tiles, self.wcs, *columns, strict=True)),
            **common,
        )


def odd_wcs(centre, shape, rng, place, stray):
    """A celestial WCS whose middle lies within `stray` pixels of the centre; of the kind that `place` says."""
    projection = {"cylinder": "CAR", "sip": "TAN-SIP"}.get(place, "TAN")
    longitude, latitude = centre
    if place == "far":
        longitude += 20.0
    if place == "antipode":
        longitude, latitude = (longitude + 180) % 360, -latitude
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = f"RA---{projection}", f"DEC--{projection}"
    wcs.wcs.crval = longitude, latitude
    wcs.wcs.crpix = [(size + 1) / 2 + rng.uniform(-stray, stray) for size in reversed(shape)]
    scale = _SCALE / 5 if place == "finer" else _SCALE
    angle = rng.uniform(0, 6) if place in ("turned", "pc_cdelt") else 0.0
    matrix = np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if place == "pc_cdelt":
        wcs.wcs.pc, wcs.wcs.cdelt = matrix, (scale, scale)
    else:
        wcs.wcs.cd = scale * matrix
    if place == "sip":
        bend = np.zeros((3, 3))
        bend[2, 0] = bend[0, 2] = 1e-3
        wcs.sip = Sip(bend, bend.T, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def _tile(sky, index, shape, rng):
    shape = (*shape, sky.channels) if sky.channels else shape
    dtype = np.dtype(sky.dtype)
    tops = {"f": np.finfo, "i": np.iinfo, "u": np.iinfo}
    top = float(tops[dtype.kind](dtype).max) if dtype.kind in tops else 1.0
    level = min(1000.0, top / 2)
    values = {
        "noise": level + rng.normal(0, level / 100, shape),
        "constant": np.full(shape, level),
        "zero": np.zeros(shape),
        # Near the end of what the dtype holds, and beyond what float32 does if that is less.
        "huge": rng.uniform(0.5, 0.99, shape) * min(top, 1e300),
    }[sky.level]
    if dtype.kind == "f":
        _pierce(values, sky.holes, index, rng)
    return _laid_out(values.astype(dtype), sky.layout)


def _pierce(values, holes, index, rng):
    if holes in ("some", "infinite"):
        values[rng.random(values.shape) < 0.3] = np.nan if holes == "some" else rng.choice([np.inf, -np.inf])
    elif holes == "edge":
        values[:2] = values[:, -3:] = np.nan
    elif holes == "all" or (holes == "one_tile" and index == 0):
        values[...] = np.nan


def _laid_out(array, layout):
    """The same values in another order in memory."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "reversed":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    if layout == "planes":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, -1, 0)), 0, -1)
    if layout == "strided":
        wide = np.zeros((2 * array.shape[0], 3 * array.shape[1], *array.shape[2:]), array.dtype)
        wide[::2, ::3] = array
        return wide[::2, ::3]
    array.flags.writeable = layout != "read_only"
    return array


def _masks(sky, rng):
    if sky.masks == "none":
        return None
    masks = [np.full(shape, sky.masks != "zero", np.float32) for shape in sky.shapes]
    if sky.masks == "holes":
        masks = [rng.choice(np.array([0.0, 0.5, 1.0, np.nan], np.float32), shape) for shape in sky.shapes]
    if sky.masks == "mixed":
        masks[1::2] = [None] * len(masks[1::2])
    return masks
