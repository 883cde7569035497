"""Two runs side by side: reports on disk, finished mosaics, or the folders of runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from ..console import silent
from ..diagnosis.seams import SeamMap, compare_seams, match
from ..measure.coarse import FACTOR
from ..report.artefacts import FITS_NAME, JSON_NAME
from ..report.backdrop import Backdrop
from ..report.seam_changes import last_seams, mosaics_of
from ..report.show import read_report
from ..tiles.blocks import block_means
from ..tiles.grid import pixels_between
from ..tiles.headers import celestial_wcs
from ..tiles.images import TileError, open_image
from .output_folder import SCIENCE, OutputFolder
from .seams import seams_of_run

_MOSAIC = "mosaic.fits"
_MOST_STEP = 1 << 16


@dataclass(frozen=True, eq=False)
class Side:
    """One of two that are compared.

    Attributes
    ----------
    mosaic : pathlib.Path or None
        The picture, where one is there.
    seams : SeamMap or None
        Seams of its last mosaic; None where a report has none.
    backdrop : Backdrop or None
        Backdrop of the picture.
    tiles : tuple of (str or None)
        Names of its tiles; empty where edges have none.
    wcs : WCS or None
        WCS of its blocks of `step` × `step` pixels; None where its place on the sky is not known.
    step : int
    in_tiles : bool
        Whether its steps are in adu of the tiles, not in its own.
    remarks : tuple of str
        What is to be said of it.
    """

    mosaic: Path | None
    seams: SeamMap | None
    backdrop: Backdrop | None = None
    tiles: tuple = ()
    wcs: WCS | None = None
    step: int = 1
    in_tiles: bool = True
    remarks: tuple[str, ...] = ()

    def to(self, other):
        """Where its pixels lie in another: a function of x and y, or None where that is not known."""
        if self.wcs is None or other.wcs is None:
            return None

        def project(x, y):
            blocks = ((at + 0.5) / self.step - 0.5 for at in (x, y))
            return tuple((at + 0.5) * other.step - 0.5 for at in pixels_between(self.wcs, other.wcs, *blocks))

        return project


def is_report(path):
    """Whether a report lies in a folder."""
    return (Path(path) / JSON_NAME).is_file()


def newest_pass(path):
    """The folder of the newest pass in one that holds the reports of several; else the path itself."""
    runs = sorted(Path(path).glob(f"runs/*/{JSON_NAME}"))
    return runs[-1].parent if runs and not is_report(path) else Path(path)


def report_sides(directories):
    """Make the sides of two reports on disk.

    Parameters
    ----------
    directories : (path-like, path-like)

    Returns
    -------
    list of Side
        Sides of the last mosaic that both have, else of the last of each; with the picture where `run` has written it
        beside the report.

    Raises
    ------
    OSError, ValueError
        As `show.read_report`; if what it says of the seams is nothing of that; names the file.
    """
    reports = [(Path(directory), read_report(directory)) for directory in directories]
    names = [mosaics_of(report) for _, report in reports]
    both = set(names[0]) & set(names[1])
    sides = [_report_side(directory, report, both) for directory, report in reports]
    for number, (own, side) in enumerate(zip(names, sides, strict=True)):
        if side.seams is not None and own[-1:] != [side.seams.mosaic]:
            remark = f"its mosaic {side.seams.mosaic}, not {own[-1]}: the last that both reports have"
            sides[number] = replace(side, remarks=(*side.remarks, remark))
    return sides


def _report_side(directory, report, mosaics):
    try:
        seams = last_seams(report, mosaics)
        tiles = tuple(tile["name"] for tile in report.get("tiles") or ())
        if not all(isinstance(name, str | None) for name in tiles):
            raise ValueError("a tile whose name is no text")
        step = (report.get("settings") or {}).get("downsample", 1)
        if type(step) is not int or not 1 <= step <= _MOST_STEP:
            raise ValueError(f"downsample {step!r:.40}")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{directory / JSON_NAME}: not a report: {error}") from None
    path, picture = directory / FITS_NAME, directory / _MOSAIC
    wcs = None
    if seams is not None and path.is_file():
        with open_image(path) as (data, header, _):
            wcs = celestial_wcs(header, data.shape[:2])
    mosaic = picture if seams is not None and picture.is_file() else None
    return Side(mosaic, seams, None if mosaic is None else _backdrop(mosaic), tiles, wcs, step)


def mosaic_sides(paths, tiles=(), coverages=(), science=SCIENCE, stage=silent):
    """The sides of mosaics, or of folders of runs.

    Parameters
    ----------
    paths : (path-like, path-like)
        FITS images, or output folders.
    tiles : sequence of path-like, optional
        What both were made of; by default those that were kept in the folders.
    coverages : sequence of path-like, optional
        One for both, or one each.
    science : str, optional
        As of `OutputFolder.of`.
    stage : callable, optional
        As `console.stage`: is told what is being done.

    Returns
    -------
    list of Side
        Both by tiles, or neither: then the second has the scale of the first.

    Raises
    ------
    TileError
        If files cannot be used, do not go together, or it is not known where footprints end.
    """
    runs = [_run_of(path, science) for path in paths]
    if coverages:
        runs = [replace(run, coverage=Path(own)) for run, own in zip(runs, (*coverages, *coverages), strict=False)]
        tiles, runs = (), [replace(run, tiles=()) for run in runs]
    if tiles:
        runs = [replace(run, tiles=tuple(tiles), remarks=()) for run in runs]
    elif any(run.tiles for run in runs) and not all(run.tiles for run in runs):
        # The sky of the other is the same: whose tiles they are matters to none of the steps.
        kept = next(run for run in runs if run.tiles)
        runs = [run if run.tiles else replace(run, tiles=kept.tiles, remarks=(_lend_tiles(kept),)) for run in runs]
    sides = [_measure(run, stage) for run in runs]
    if len({side.in_tiles for side in sides}) > 1:
        sides = [
            side if not side.in_tiles else _measure(replace(run, tiles=()), stage)
            for run, side in zip(runs, sides, strict=True)
        ]
    if not sides[0].in_tiles:
        sides[1] = _in_scale_of(*sides)
    return sides


def compare_sides(first, second):
    """The `Comparison` of two sides; None where one of them has no seams.

    Raises
    ------
    TileError
        If they have different numbers of channels.
    """
    if first.seams is None or second.seams is None:
        return None
    channels = [len(side.seams.rms) for side in (first, second)]
    if channels[0] != channels[1] and first.seams.edges and second.seams.edges:
        raise TileError(f"{channels[0]} channels != {channels[1]}: not to be compared")
    return compare_seams(first.seams, second.seams, second.to(first), _same_names(second.tiles, first.tiles))


def _run_of(path, science):
    path = Path(path)
    if path.is_dir():
        return OutputFolder.of(path, science)
    if not path.is_file():
        raise TileError(f"{path}: no such file")
    return OutputFolder(path.parent, path, None, ())


def _lend_tiles(kept):
    return f"its master tiles were not kept: measured by those of {kept.folder}"


def _measure(run, stage):
    """The side of a run."""
    seams, backdrops, remarks = seams_of_run(run, stage)
    with open_image(run.mosaic) as (data, header, _):
        wcs = celestial_wcs(header, data.shape[:2])
    in_tiles = bool(run.tiles) and not remarks
    names = tuple(path.name for path in run.tiles) if in_tiles else ()
    return Side(run.mosaic, seams.maps[-1], backdrops[-1], names, wcs, 1, in_tiles, (*run.remarks, *remarks))


def _in_scale_of(first, second):
    """The second side with its steps in adu of the first, by what both show of the sky."""
    means = []
    for side in (first, second):
        with open_image(side.mosaic) as (data, _, coverage):
            means.append(block_means(data, FACTOR, coverage))
    rows, columns = np.indices(means[0].shape[1:])
    x, y = first.to(second)(*(FACTOR * (cells.ravel() + 0.5) - 0.5 for cells in (columns, rows)))
    places = [((at + 0.5) / FACTOR - 0.5).reshape(rows.shape) for at in (y, x)]
    same = [map_coordinates(plane, places, order=1, cval=np.nan) for plane in means[1]]
    if len(same) != len(means[0]):
        return second
    with np.errstate(all="ignore"):
        scale = match(np.stack(same), means[0])[1]
    edges = [
        replace(
            edge,
            step=tuple((edge.step / scale).tolist()),
            error=tuple((edge.error / scale).tolist()),
            noise=tuple(float(noise / scale.mean()) for noise in edge.noise),
            line=tuple((edge.line / scale).tolist()),
            line_error=tuple((edge.line_error / scale).tolist()),
        )
        for edge in second.seams.edges
    ]
    return replace(second, seams=SeamMap.of(second.seams.mosaic, edges, len(scale)))


def _same_names(own, other):
    """From the tiles of one side to those of the other of the same name; None where they have no names that tell."""
    if None in own or None in other or not own or not other or len(set(own)) < len(own) or len(set(other)) < len(other):
        return None
    numbers = {name: number for number, name in enumerate(other)}
    return {number: numbers[name] for number, name in enumerate(own) if name in numbers}


def _backdrop(path):
    with open_image(path) as (data, _, _):
        return Backdrop.of(data)
