"""The two pictures of a report: the delta map on the sky, and the tiles one by one.

matplotlib is imported when a picture is drawn, and only its object-oriented part: pyplot and the
global settings belong to the program we are a guest in.
"""

from __future__ import annotations

import numpy as np

from .maps import UNIT, blank_uncompared, reference_text
from .tables import channel_names, findings_by_tile

MAP_PICTURE = "twopass_delta_map.png"
TILES_PICTURE = "twopass_tiles.png"

# Wong (2011), Nature Methods 8, 441: told apart with every kind of colour vision.
_FLAGGED = "#D55E00"
_AFTER = "#0072B2"
_INK = "#1a1a1a"
_UNCOMPARED = "0.75"
_DPI = 180
_WIDTH = 5.6
_PANEL = 4.1
_NAMED = 8
_TEXT = {"color": _INK, "parse_math": False}
_AXIS_NAMES = {
    "RA": "right ascension",
    "DEC": "declination",
    "GLON": "galactic longitude",
    "GLAT": "galactic latitude",
}


def write_map_picture(report, path):
    """Draw the delta map and the signed delta map on the sky, with the outlines of the tiles.

    Tiles with a finding are outlined in a second colour; the first eight are named.

    Parameters
    ----------
    report : TwoPassReport
        With a delta map.
    path : pathlib.Path
        PNG; overwritten.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    delta = report.delta
    rows, columns = delta.delta.shape
    height = float(np.clip(_PANEL * rows / columns, 1.3, 6.0))
    figure = Figure(figsize=(_WIDTH, 2 * height + 1.9), dpi=_DPI, facecolor="white")
    top, signed_limit = map_limits(delta)
    reference = "first pass" if delta.reference == "first_pass" else "mean of tiles"
    panels = (
        (f"|tile − {reference}|", delta.delta, colormaps["cividis"], (0.0, top)),
        (f"tile − {reference}", delta.signed, colormaps["RdBu_r"], (-signed_limit, signed_limit)),
    )
    for place, (title, layer, colours, limits) in enumerate(panels, start=1):
        axes = figure.add_subplot(2, 1, place, projection=delta.wcs)
        _draw_layer(axes, blank_uncompared(layer, delta.count), colours, limits)
        axes.set_title(f"{title}, mean over the tiles", fontsize=9, loc="left", **_TEXT)
        _draw_outlines(axes, report, _PANEL * 72 / columns)
    figure.subplots_adjust(left=0.16, right=0.84, top=1 - 0.55 / figure.get_figheight(), bottom=0.1, hspace=0.35)
    figure.text(0.02, 1.0, _heading(report), fontsize=8, va="top", **_TEXT)
    figure.savefig(path, bbox_inches="tight")


def map_limits(delta):
    """Upper limit of the delta map's colours, and half the range of the signed one's.

    The 99.5th percentile, or three times the scatter (from the median absolute deviation) of the
    signed map where that is more; so a few bright stars do not flatten the rest.

    Parameters
    ----------
    delta : DeltaMap

    Returns
    -------
    (float, float)
        In adu; 1 where nothing was compared or nothing differs.
    """
    compared = delta.count > 0
    if not compared.any():
        return 1.0, 1.0
    values, signed = delta.delta[compared], delta.signed[compared]
    sigma = 1.4826 * np.median(np.abs(signed - np.median(signed)))
    limits = (max(float(np.percentile(np.abs(layer), 99.5)), 3.0 * float(sigma)) for layer in (values, signed))
    return tuple(limit if np.isfinite(limit) and limit > 0 else 1.0 for limit in limits)


def _draw_layer(axes, layer, colours, limits):
    rows, columns = layer.shape
    # A strip would be too thin to see anything in it.
    aspect = "equal" if 0.2 <= rows / columns <= 5 else "auto"
    image = axes.imshow(
        layer,
        origin="lower",
        cmap=colours.with_extremes(bad=_UNCOMPARED),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
        aspect=aspect,
    )
    for axis in (axes.wcs.wcs.lng, axes.wcs.wcs.lat):
        kind = (axes.wcs.wcs.lngtyp if axis == axes.wcs.wcs.lng else axes.wcs.wcs.lattyp).strip()
        coordinate = axes.coords[axis]
        coordinate.set_axislabel(_AXIS_NAMES.get(kind, kind), fontsize=8, color=_INK)
        coordinate.set_ticklabel(size=7, color=_INK, exclude_overlapping=True)
    finite = layer[np.isfinite(layer)]
    below, above = (bool((finite < limits[0]).any()), bool((finite > limits[1]).any())) if finite.size else (False,) * 2
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = axes.figure.colorbar(image, cax=axes.inset_axes([1.03, 0.0, 0.045, 1.0]), extend=extend)
    extremes = f"{finite.min():.4g} to {finite.max():.4g}" if finite.size else "nothing was compared"
    bar.set_label(f"{UNIT}   (data: {extremes})", fontsize=8, **_TEXT)
    bar.ax.tick_params(labelsize=7, colors=_INK)


def _draw_outlines(axes, report, points_per_pixel):
    """Outline and number the tiles; those with a finding last, so that they lie on top."""
    from astropy.coordinates import SkyCoord
    from matplotlib.patheffects import withStroke

    kinds = findings_by_tile(report.findings)
    limits = axes.get_xlim(), axes.get_ylim()
    edges = {
        index: np.array(report.delta.wcs.world_to_pixel(SkyCoord(*outline.T, unit="deg", frame="icrs")))
        for index, outline in enumerate(report.outlines)
    }
    size = label_size([edge.mean(axis=1) for edge in edges.values()], points_per_pixel)
    named = list(kinds)[:_NAMED]
    for index in sorted(edges, key=lambda index: index in kinds):
        flagged = index in kinds
        colour, width = (_FLAGGED, 1.8) if flagged else (_INK, 0.6)
        halo = [withStroke(linewidth=width + 1.4, foreground="white")]
        x, y = np.column_stack((edges[index], edges[index][:, 0]))
        axes.plot(x, y, color=colour, linewidth=width, path_effects=halo, zorder=3 + flagged)
        if size or index in named:
            label = f"{index} {kinds[index][0]}" if index in named else str(index)
            axes.text(
                *edges[index].mean(axis=1),
                label.replace("_", " "),
                fontsize=max(size, 7) if flagged else size,
                fontweight="bold" if flagged else "normal",
                ha="center",
                va="center",
                clip_on=True,
                path_effects=[withStroke(linewidth=2.2, foreground="white")],
                zorder=5 + flagged,
                **_TEXT | {"color": colour},
            )
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])


def label_size(centres, points_per_pixel):
    """Font size at which numbers at these places stay apart.

    Parameters
    ----------
    centres : sequence of ndarray, shape (2,)
        In map pixels; one that is not finite is passed over.
    points_per_pixel : float

    Returns
    -------
    float
        In points, at most 9; 0 where it would be too small to read.
    """
    places = np.array([centre for centre in centres if np.isfinite(centre).all()]).reshape(-1, 2)
    if len(places) < 2:
        return 9.0
    apart = np.hypot(*(places[:, np.newaxis] - places).T)
    np.fill_diagonal(apart, np.inf)
    size = min(9.0, 0.5 * points_per_pixel * float(np.median(apart.min(axis=0))))
    return size if size >= 4.5 else 0.0


def _heading(report):
    delta = report.delta
    return (
        f"Two-pass coverage renorm: {report.verdict.replace('_', ' ')}, {report.tile_count} tiles after their gains\n"
        f"reference: {reference_text(delta.reference)}; 1 pixel = {delta.downsample} × {delta.downsample} "
        f"mosaic pixels; grey: not compared"
    )


def write_tiles_picture(report, path):
    """Draw gain and medians of each tile, before and after the gain, channel by channel.

    Parameters
    ----------
    report : TwoPassReport
        With tile records.
    path : pathlib.Path
        PNG; overwritten.

    Raises
    ------
    ModuleNotFoundError
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    index = np.array([tile.index for tile in report.tiles])
    pre, post = (_medians(report.tiles, when) for when in ("pre", "post"))
    count = 1 + pre.shape[1]
    figure = Figure(figsize=(_WIDTH, 0.9 + 1.45 * count), dpi=_DPI, facecolor="white")
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    marker = float(np.clip(90 / len(index), 2.0, 6.0))
    _draw_gains(panels[0], report, index, marker)
    for channel, axes in enumerate(panels[1:]):
        axes.vlines(index, pre[:, channel], post[:, channel], color="0.6", linewidth=0.8)
        hollow = {"markerfacecolor": "white", "color": _INK, "label": "as given"}
        axes.plot(index, pre[:, channel], "o", markersize=marker, markeredgewidth=0.8, **hollow)
        axes.plot(index, post[:, channel], "o", markersize=marker, color=_AFTER, label="after the gain")
        name = channel_names(count - 1)[channel]
        axes.set_ylabel(f"median {name if count > 2 else ''}".strip() + f"\n({UNIT})", fontsize=8, **_TEXT)
    for axes in panels:
        for tile in findings_by_tile(report.findings):
            axes.axvspan(tile - 0.5, tile + 0.5, facecolor=_FLAGGED, alpha=0.25, linewidth=0, zorder=0)
        axes.set_facecolor("white")
        axes.tick_params(labelsize=7, colors=_INK)
        axes.margins(y=0.12)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[-1].set_xlabel("tile", fontsize=8, **_TEXT)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[-1].set_xlim(index.min() - 0.7, index.max() + 0.7)
    panels[min(1, count - 1)].legend(fontsize=7, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False)
    figure.align_ylabels(panels)
    figure.savefig(path, bbox_inches="tight")


def _medians(tiles, when):
    """Medians as an array, shape (tiles, channels); NaN where a tile has fewer channels."""
    rows = [getattr(tile, when).median for tile in tiles]
    out = np.full((len(rows), max(len(row) for row in rows)), np.nan)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


def _draw_gains(axes, report, index, marker):
    gains = np.array([tile.gain for tile in report.tiles])
    axes.axhline(1.0, color="0.5", linewidth=0.8)
    for limit in report.settings.get("gain_clip", ()):
        axes.axhline(limit, color="0.5", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(index, gains, "s", markersize=marker, color=_AFTER)
    axes.set_ylabel("gain", fontsize=8, **_TEXT)
    verdict = report.verdict.replace("_", " ")
    axes.set_title(f"Two-pass coverage renorm: {verdict}, {len(index)} tiles", fontsize=8, loc="left", pad=16, **_TEXT)
    for tile, kinds in list(findings_by_tile(report.findings).items())[:_NAMED]:
        axes.annotate(
            f"{tile} {kinds[0]}".replace("_", " "),
            (tile, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            fontsize=7,
            fontweight="bold",
            ha="center",
            **_TEXT | {"color": _FLAGGED},
        )
