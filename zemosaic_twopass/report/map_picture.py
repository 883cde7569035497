"""Drawing of a delta map on the sky: two panels, tile outlines, colour bars."""

from __future__ import annotations

import numpy as np
from astropy import units
from astropy.stats import mad_std

from .maps import UNIT, blank_uncompared, reference_text
from .style import DPI, FLAGGED, FONT, INK, MEDIUM, SMALL, TEXT, WIDTH, finding_list, finish_ticks, headline, new_figure
from .tables import find_flagged

# In inches: the panels' width, what lies left of, above, between and below them, and a line of the heading.
_PANEL, _LEFT, _TOP, _GAP, _BOTTOM, _LINE = 4.05, 0.8, 0.85, 0.9, 0.55, 0.15
# Shares of a tile's sides at which its number may stand.
_INSIDE = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.6, 0.7, 0.75, 0.8, 0.85)
# Light for little, so that outlines show and paper stays paper; told apart with any colour vision.
_COLOURS = "RdBu_r"
# Ranges that differ by no more than this factor become one.
_ONE_RANGE = 3.0
_HOURS = "\N{MODIFIER LETTER SMALL H}", "\N{MODIFIER LETTER SMALL M}", "\N{MODIFIER LETTER SMALL S}"
_DEGREES = "°", "′", "″"
_AXIS_NAMES = {
    "RA": "right ascension",
    "DEC": "declination",
    "GLON": "galactic longitude",
    "GLAT": "galactic latitude",
}


def draw_map(report):
    """Draw each tile minus the reference, as given and, where gains are known, after them, one above the other.

    Where tiles overlap the one is seen that is furthest from the reference as a whole.

    Parameters
    ----------
    report : TwoPassReport
        With a delta map.

    Returns
    -------
    matplotlib.figure.Figure
    """
    delta, maps = report.delta, _maps(report)
    rows, columns = delta.delta.shape
    panel = float(np.clip(_PANEL * rows / columns, 1.2, 6.0))
    # A strip in its true shape would be too thin to see anything in it.
    stretched = not 0.2 <= rows / columns <= 5
    points = 72 * np.array((_PANEL / columns, panel / rows))
    if not stretched:
        points[:] = points.min()
    findings = finding_list(report)
    top = _TOP + _LINE * len(findings.splitlines())
    height = top + len(maps) * (panel + _GAP) - _GAP + _BOTTOM
    figure = new_figure(height)
    figure.text(0, 1, _heading(report), va="top", fontsize=MEDIUM, **TEXT)
    figure.text(0, 1 - 0.52 / height, findings, va="top", fontsize=MEDIUM, **TEXT | {"color": FLAGGED})
    reference = "mean of the tiles" if delta.reference == "tiles" else "first pass" if report.of_pass else "mosaic"
    limits = map_limits(list(maps.values()))
    edges = _outline_edges(report)
    places = label_places(edges, points)
    for slot, (title, limit) in enumerate(zip(maps, limits, strict=True)):
        low = height - top - panel - slot * (panel + _GAP)
        box = (_LEFT / WIDTH, low / height, _PANEL / WIDTH, panel / height)
        axes = figure.add_axes(box, projection=delta.wcs)
        _draw_layer(axes, _layer(maps[title]), limit)
        axes.set_aspect("auto" if stretched else "equal")
        _name_axes(axes, delta.wcs)
        axes.set_title(f"tile {title} − {reference}", fontsize=10, loc="left", y=1.0, **TEXT)
        _draw_outlines(axes, report, edges, places, points)
    return figure


def _maps(report):
    """The maps to draw by what they hold."""
    maps = {} if report.before is None else {"as given": report.before}
    if report.after_gain or not maps:
        maps["after its gain" if report.after_gain else "as given"] = report.delta
    return maps


def _layer(delta):
    return blank_uncompared(delta.signed if delta.furthest is None else delta.furthest, delta.count)


def map_limits(maps):
    """Half the range of the colours of each map.

    Four times the scatter of a map (from the median absolute deviation) or, where that is more, the 99th percentile of
    what is larger than a star (a running median over 5 × 5 pixels, every second one each way): stars run into the
    arrows of the colour bar, and a tile that stands out by half the noise of a pixel is seen. All have the range of the
    largest, unless that would hide what another holds.

    Parameters
    ----------
    maps : list of DeltaMap

    Returns
    -------
    list of float
        In adu; 1 where nothing was compared or nothing differs.
    """
    found = [_limit(_layer(own)) for own in maps]
    return [max(found)] * len(found) if max(found) <= _ONE_RANGE * min(found) else found


def _limit(layer):
    from scipy.ndimage import median_filter

    known = np.isfinite(layer)
    if not known.any():
        return 1.0
    values = layer[known]
    scatter = float(mad_std(values))
    # As good as one over all 5 × 5 of them, and in a tenth of the time.
    smooth = np.abs(median_filter(np.where(known, layer, 0.0)[::2, ::2], size=3)[known[::2, ::2]])
    limit = max(4.0 * scatter, float(np.percentile(smooth, 99)) if smooth.size else 0.0)
    return limit if np.isfinite(limit) and limit > 0 else 1.0


def label_size(places):
    """Font size at which tile numbers at these places stay apart.

    Parameters
    ----------
    places : array_like, shape (n, 2)
        In points; one that is not finite is passed over.

    Returns
    -------
    float
        In points, at most 9; 0 where it would be too small to read.
    """
    places = np.asarray(places, dtype=float)
    places = places[np.isfinite(places).all(axis=1)]
    if len(places) < 2:
        return 9.0
    apart = np.hypot(*(places[:, np.newaxis] - places).T)
    np.fill_diagonal(apart, np.inf)
    # Three digits are about two font sizes wide.
    size = min(9.0, 0.5 * float(np.median(apart.min(axis=0))))
    return size if size >= 4.5 else 0.0


def _heading(report):
    delta = report.delta
    side = f"{delta.downsample} × {delta.downsample}"
    return (
        f"{headline(report)}\n"
        f"reference: {reference_text(report)}; where tiles overlap, the one that differs most\n"
        f"1 pixel = {side} mosaic pixels; hatched: not compared"
    )


def _draw_layer(axes, layer, limit):
    from matplotlib import colormaps

    image = axes.imshow(
        layer,
        origin="lower",
        cmap=colormaps[_COLOURS].with_extremes(bad=(0, 0, 0, 0)),
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    axes.patch.set(facecolor="0.88", edgecolor="0.6", hatch="///", linewidth=0)
    finite = layer[np.isfinite(layer)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}
    beyond = extend.get((bool(low < -limit), bool(high > limit)), "neither")
    bar = axes.figure.colorbar(image, cax=axes.inset_axes([1.03, 0.0, 0.045, 1.0]), extend=beyond)
    extremes = f"{low:.4g} to {high:.4g}".replace("-", "−") if finite.size else "none"
    bar.set_label(f"{UNIT}  (data: {extremes})", fontsize=SMALL, **TEXT)
    finish_ticks(bar.ax)


def _name_axes(axes, wcs):
    for axis, axis_type in ((wcs.wcs.lng, wcs.wcs.lngtyp), (wcs.wcs.lat, wcs.wcs.lattyp)):
        coordinate = axes.coords[axis]
        name = _AXIS_NAMES.get(axis_type.strip(), axis_type)
        coordinate.set_axislabel(name, fontsize=MEDIUM, fontfamily=FONT, color=INK, minpad=0.5)
        coordinate.set_ticklabel(fontsize=SMALL, fontfamily=FONT, color=INK, exclude_overlapping=True)
        coordinate.set_ticks(number=5)
        if coordinate.coord_type != "scalar":
            # Plain characters: the usual ones are set by a formula parser with a dozen fonts of its own.
            coordinate.set_separator(_HOURS if coordinate.get_format_unit() == units.hourangle else _DEGREES)


def _outline_edges(report):
    """Outlines in map pixels, shape (tiles, 32, 2)."""
    from astropy.coordinates import SkyCoord

    sky = SkyCoord(*np.moveaxis(np.reshape(report.outlines, (-1, 32, 2)), 2, 0), unit="deg", frame="icrs")
    return np.stack(report.delta.wcs.world_to_pixel(sky), axis=-1)


def _draw_outlines(axes, report, edges, places, points):
    """Outline and number the tiles; `points` a map pixel, across and up."""
    size = label_size(places * points)
    kinds = find_flagged(report.findings)
    if not size:
        # So many outlines would hide the map: those of the tiles that are named, and the edge of all.
        covered = np.pad(report.delta.count > 0, 1)
        across, up = (np.arange(-1, n + 1) for n in report.delta.count.shape[::-1])
        axes.contour(across, up, covered, levels=[0.5], colors=INK, linewidths=0.7, zorder=3)
    for flagged in (False, True):
        chosen = [index for index in range(len(edges)) if (index in kinds) == flagged and (size or flagged)]
        if chosen:
            labels = [_label(index, kinds.get(index), points[0] * np.ptp(edges[index][:, 0])) for index in chosen]
            _draw_edges(axes, edges[chosen], (FLAGGED, 1.8) if flagged else (INK, 0.7 if size >= 7 else 0.4))
            _draw_labels(axes, labels, places[chosen], max(size, 7.0) if flagged else size, flagged)


def _label(index, kinds, room):
    """Number of a tile and, where the points across it leave room, the first kind of what was found."""
    named = f"{index} {kinds[0]}".replace("_", " ") if kinds else ""
    # A bold letter is about 5 points wide; where the kind has no room, the heading has it.
    return named if named and 5 * len(named) < room else str(index)


def label_places(edges, points):
    """Where each tile's number goes: the same spot in every tile, where most have room.

    The centre will not do: with half a tile of overlap the edges of the neighbours cross there.

    Parameters
    ----------
    edges : array_like, shape (n, 32, 2)
        Outlines in map pixels, every eighth point a corner.
    points : ndarray, shape (2,)
        Size of a map pixel in points, across and up.

    Returns
    -------
    ndarray, shape (n, 2)
        In map pixels; NaN for a tile without a position.
    """
    from scipy.spatial import cKDTree

    if not len(edges):
        return np.empty((0, 2))
    edges = np.asarray(edges)
    corners = edges[:, ::8]
    u, v = map(np.ravel, np.meshgrid(_INSIDE, _INSIDE, indexing="ij"))
    spots = np.einsum("ks,nkc->snc", ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v), corners)
    known = np.isfinite(corners).all(axis=(1, 2))
    if not known.any():
        return spots[0]
    between = np.arange(4)[:, np.newaxis, np.newaxis, np.newaxis] / 4
    lines = (edges + between * (np.roll(edges, -1, axis=1) - edges)).reshape(-1, 2) * points
    seen = spots[:, known] * points
    room = cKDTree(lines[np.isfinite(lines).all(axis=1)]).query(seen)[0]
    # All choices at once, in planes so far apart that the nearest number is one of the same choice.
    planes = np.broadcast_to(10 * np.ptp(seen) * np.arange(len(seen))[:, np.newaxis, np.newaxis], room.shape + (1,))
    layered = np.concatenate((seen, planes), axis=2)
    if known.sum() > 1:
        room = np.minimum(room, cKDTree(layered.reshape(-1, 3)).query(layered, k=[2])[0][..., 0] / 2)
    # The spot nearest to the centre wins among those about as good.
    room = np.percentile(room, 20, axis=1) * (1 - 0.2 * np.hypot(u - 0.5, v - 0.5))
    return spots[np.argmax(room)]


def _draw_edges(axes, edges, style):
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    colour, width = style
    flagged = colour == FLAGGED
    # Thin lines do without: a halo round each would double the size of the file.
    halo = [withStroke(linewidth=2 * width, foreground="white")] if flagged else None
    closed = np.concatenate((edges, edges[:, :1]), axis=1)
    lines = LineCollection(closed, colors=colour, linewidths=width, path_effects=halo, zorder=3 + flagged)
    # Else a tile beyond the map would widen the axes.
    axes.add_collection(lines, autolim=False)


def _draw_labels(axes, labels, places, size, flagged):
    """All as one artist: as texts, of which each has its own halo, they would take a sixth of the time of a map."""
    from matplotlib.collections import PathCollection
    from matplotlib.font_manager import FontProperties
    from matplotlib.patheffects import withStroke
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    font = FontProperties(family=FONT, weight="bold" if flagged else "normal")
    letters = [TextPath((0, 0), label, size=size, prop=font) for label in labels]
    # Corners and control points will do: exact extents would take longer than to draw them.
    shifts = [-(path.vertices.min(axis=0) + path.vertices.max(axis=0)) / 2 for path in letters]
    numbers = PathCollection(
        [path.transformed(Affine2D().translate(*shift)) for path, shift in zip(letters, shifts, strict=True)],
        offsets=places,
        offset_transform=axes.transData,
        facecolors=FLAGGED if flagged else INK,
        linewidths=0,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=5 + flagged,
    )
    numbers.set_transform(Affine2D().scale(DPI / 72))
    axes.add_collection(numbers, autolim=False)
