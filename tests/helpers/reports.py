"""Small reports, made by hand, for the tests of what is written of them."""

from dataclasses import replace
from functools import cache

import numpy as np
from astropy.wcs import WCS

from zemosaic_instrument import DeltaMap, Finding, TileRecord, TwoPassReport, tile_statistics
from zemosaic_twopass.diagnosis.evidence import Chart, Evidence, Layer, Series
from zemosaic_twopass.diagnosis.seams import Edge, Profile, SeamMap
from zemosaic_twopass.measure.delta import delta_map
from zemosaic_twopass.report.artefacts import JSON_NAME, PAGE_NAME, TABLE_NAME
from zemosaic_twopass.report.backdrop import Backdrop
from zemosaic_twopass.report.evidence_picture import EVIDENCE_PICTURE
from zemosaic_twopass.report.pictures import TILES_PICTURE
from zemosaic_twopass.report.seam_picture import SEAMS_PICTURE
from zemosaic_twopass.report.seams import SEAMS_TABLE
from zemosaic_twopass.tiles.grid import tile_outline

SCALE = 4.0 / 3600
SEAMS = {SEAMS_TABLE, SEAMS_PICTURE}
WITHOUT_MAP = {JSON_NAME, TABLE_NAME, TILES_PICTURE, EVIDENCE_PICTURE, PAGE_NAME, *SEAMS}
CENTRE = (83.82, -5.39)

OFFSET = Finding(
    "offset", 1, 24.97, 61.3, "Its background is higher than its neighbours' say: look at its gradient fit."
)
SEAM = Finding("gain_seam", 0, -31.2, 12.0, "The gains make a step of this size to tile 1: compare the pedestal.")
NOTE = Finding("undetermined", None, float("nan"), float("nan"), "Too little overlap to tell a shift.", unit="")


def tangent_wcs(centre=CENTRE, crpix=(1.0, 1.0), angle=0.0):
    """A TAN WCS with a CD matrix, in ICRS."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval = centre
    wcs.wcs.crpix = crpix
    cos, sin = np.cos(angle), np.sin(angle)
    wcs.wcs.cd = SCALE * np.array([[-cos, sin], [sin, cos]])
    wcs.wcs.set()
    return wcs


@cache
def _scene(rows, columns, channels):
    """Overlapping tiles of noise on a level, the second one 20 higher: records, maps, outlines, settings."""
    rng = np.random.default_rng(5)
    shape, step = (32, 40), np.array((20, 26))
    out = tuple(int(size) for size in step * (rows - 1, columns - 1) + shape)
    mosaic = tangent_wcs(crpix=((out[1] + 1) / 2, (out[0] + 1) / 2))
    tiles, wcs, gains = [], [], []
    for index in range(rows * columns):
        corner = step * divmod(index, columns)
        tiles.append(rng.normal(1000.0 + 20 * (index == 1), 8.0, (*shape, channels)).astype(np.float32))
        wcs.append(mosaic.deepcopy())
        wcs[-1].wcs.crpix -= corner[::-1]
        gains.append(float(rng.uniform(0.97, 1.03)))
    corrected = [tile * np.float32(gain) for tile, gain in zip(tiles, gains, strict=True)]
    reference = np.full(out, 1000.0)
    records = tuple(
        TileRecord(index, None, gains[index], *map(tile_statistics, pair), "observed")
        for index, pair in enumerate(zip(tiles, corrected, strict=True))
    )
    return TwoPassReport(
        records,
        delta_map(corrected, wcs, reference, mosaic, out, downsample=4),
        delta_map(tiles, wcs, reference, mosaic, out, downsample=4),
        outlines=tuple(tile_outline(shape, item) for item in wcs),
        settings={"sigma_px": 50, "gain_clip": (0.85, 1.18), "shape_out": out, "downsample": 4},
        summary="Tile 1 stands furthest from the first-pass mosaic.",
    )


def make_report(*, rows=2, columns=2, channels=3, findings=(), names=None, verdict="residual"):
    """A report with records, delta maps and outlines of rows × columns tiles."""
    report = _scene(rows, columns, channels)
    names = names or [None] * len(report.tiles)
    tiles = tuple(replace(tile, name=name) for tile, name in zip(report.tiles, names, strict=True))
    evidence = tuple(map(make_evidence, findings[:6])) or (replace(make_evidence(OFFSET), found=False),)
    return replace(report, tiles=tiles, findings=tuple(findings), verdict=verdict, evidence=evidence, **make_seams())


def make_seams():
    """What a report knows of the seams of two mosaics of two channels: a visible one in the second."""

    def edge(tile, step, contrast, x=50.0):
        return Edge(tile, (1, 3), x, 20.0, (0.0, 1.0), 60.0, (step, np.nan), (0.1, np.nan), (2.0, 2.2), contrast)

    first = SeamMap.of("first_pass", [edge(0, 0.1, 0.05), edge(2, 0.2, 0.1)], 2)
    last = SeamMap.of("merged", [edge(0, 4.0, 2.0), edge(None, -1.2, 0.6, 90.0)], 2)
    across = np.array([-12.0, -4.0, 4.0, 12.0]), np.array([4.0, 4.0, 0.0, np.nan]), np.array([0.1, 0.1, 0.1, np.nan])
    profiles = tuple(Profile(name, 0, 0, 0, *across) for name in ("first_pass", "merged"))
    image = np.random.default_rng(0).normal(100, 3, (40, 120, 2))
    image[:4] = np.nan
    return {"seams": (first, last), "profiles": profiles, "backdrops": (Backdrop.of(image), Backdrop.of(image))}


def make_evidence(finding):
    """Evidence with everything in it: two images, an arrow, a line and points with errors."""
    rng = np.random.default_rng(1)
    before, after = (rng.normal(level, 1.0, (9, 12)).astype(np.float32) for level in (20.0, 0.0))
    before[:2, :3] = after[:2, :3] = np.nan
    x = np.linspace(0, 1, 6)
    series = Series("fitted", x, 20 + 0 * x), Series("as given", x, 20 + 0 * x, 0.1 + 0 * x)
    layers = Layer("as given", before), Layer("taken out", after)
    return Evidence(finding, True, layers, "adu", Chart("along", "adu", series), (0.6, 0.8))


def single_pixel_report():
    """A report whose delta map is 1 × 1."""
    wcs = tangent_wcs()
    one = np.ones((1, 1), dtype=np.float32)
    delta = DeltaMap(one, one, one.astype(int), np.zeros((1, 1), int), wcs, 8, "tiles", (1.0,))
    return TwoPassReport((), delta, delta, outlines=(tile_outline((1, 1), wcs),))


def names(directory):
    """Names of the files in a folder."""
    return {path.name for path in directory.iterdir()}
