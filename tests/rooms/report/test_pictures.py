"""The two pictures: what is drawn, and that nothing else of matplotlib is touched."""

import gc
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import partial

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.contour import ContourSet
from PIL import Image

from helpers.reports import NOTE, OFFSET, SEAM, make_report, single_pixel_report, tangent_wcs
from zemosaic_twopass import DeltaMap, Finding, TileRecord, TileStats, TwoPassReport, delta_map
from zemosaic_twopass.diagnosis.photometry import TileFit
from zemosaic_twopass.report import map_picture, style
from zemosaic_twopass.report.evidence_picture import draw_finding, write_evidence_picture
from zemosaic_twopass.report.map_picture import draw_map, label_places, label_size, map_limits
from zemosaic_twopass.report.pictures import draw_tiles
from zemosaic_twopass.report.style import DPI, FLAGGED, INK, finding_list, render, render_trimmed, write_picture

FLAG = np.array([0xD5, 0x5E, 0x00])


@pytest.fixture(scope="module")
def report():
    return make_report(rows=2, columns=3, findings=(OFFSET, SEAM, NOTE))


def maps_of(figure):
    return [axes for axes in figure.axes if hasattr(axes, "coords")]


@pytest.fixture
def labels(monkeypatch):
    """What stands in the tiles of each map, {text: flagged}; a map before another one."""
    found, draw = {}, map_picture._draw_labels

    def recorded(axes, texts, places, size, flagged):
        found.setdefault(axes, {}).update(dict.fromkeys(texts, flagged))
        draw(axes, texts, places, size, flagged)

    monkeypatch.setattr(map_picture, "_draw_labels", recorded)
    return found


def outlines(axes):
    """Outlines in a map with their colours."""
    groups = [one for one in axes.collections if isinstance(one, LineCollection)]
    return [(edge, matplotlib.colors.to_hex(one.get_colors()[0])) for one in groups for edge in one.get_segments()]


def flagged_pixels(path):
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    return int((np.abs(pixels - FLAG).max(axis=2) < 12).sum())


def test_files_are_pictures_and_flagged_tiles_stand_out(tmp_path, report):
    clean = replace(report, findings=(NOTE, replace(NOTE, kind="gain_guard", tile=2)))
    for draw in (draw_map, draw_tiles):
        write_picture(draw, report, tmp_path / "a.png")
        write_picture(draw, clean, tmp_path / "b.png")
        with Image.open(tmp_path / "a.png") as image:
            assert image.format == "PNG"
            assert 700 < image.width < 1000
        assert flagged_pixels(tmp_path / "a.png") > 300
        assert flagged_pixels(tmp_path / "b.png") == 0


HOSTS = {
    "savefig.format": "svg",
    "savefig.bbox": "tight",
    "savefig.dpi": 50,
    "savefig.facecolor": "black",
    "font.family": ["serif"],
    "font.size": 30.0,
    "text.usetex": True,
    "path.sketch": (1, 100, 2),
    "axes.formatter.use_mathtext": True,
    "axes.grid": True,
    "xtick.direction": "in",
    "figure.autolayout": True,
    "lines.linewidth": 9.0,
}


@pytest.mark.parametrize("kind", ["square", "tall", "flat", "turned", "tiles", "evidence"])
def test_nothing_is_cut_off_whatever_the_host_has_set(tmp_path, monkeypatch, kind):
    rows, columns = {"tall": (4, 1), "flat": (1, 4)}.get(kind, (2, 2))
    report = make_report(rows=rows, columns=columns)
    if kind == "turned":
        turned = tangent_wcs(crpix=(8, 8), angle=0.7)
        report = replace(report, delta=replace(report.delta, wcs=turned), before=replace(report.before, wcs=turned))
    draw = draw_tiles if kind == "tiles" else draw_map
    write = write_evidence_picture if kind == "evidence" else partial(write_picture, draw)
    write(report, tmp_path / "plain.png")
    for name, value in HOSTS.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    write(report, tmp_path / "ours.png")
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "plain.png").read_bytes()
    monkeypatch.setattr(style, "_BORDER", style._BORDER + 2)
    write(report, tmp_path / "roomy.png")
    with Image.open(tmp_path / "ours.png") as image, Image.open(tmp_path / "roomy.png") as roomy:
        # Places between two pixels may be rounded to the other one.
        assert np.abs(np.subtract(image.size, roomy.size)).max() <= 1
        drawn = (np.asarray(image) < 255).any(axis=2)
        assert image.mode == "RGB"
        assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
    for edge in (drawn, drawn[::-1], drawn.T, drawn.T[::-1]) if kind != "evidence" else ():
        assert np.flatnonzero(edge.any(axis=1))[0] == round(0.1 * DPI)


@pytest.mark.parametrize("kind", ["map", "evidence"])
def test_pixels_go_with_the_picture_not_with_the_collector(report, kind):
    if kind == "map":
        figure, draw = draw_map(report), render_trimmed
        images = [image for axes in maps_of(figure) for image in axes.images]
    else:
        figure, draw = draw_finding(report.evidence[0], 1), render
        images = [artist for artist in figure.artists if artist.get_label() == "layer"]
    arrays = [weakref.ref(image.get_array()) for image in images]
    assert len(arrays) == 2
    gc.disable()
    try:
        draw(figure)
        assert [array() for array in arrays] == [None, None]
        assert not hasattr(figure.canvas, "renderer")
    finally:
        gc.enable()


def test_map_shows_the_layers_on_the_sky(report):
    axes = maps_of(draw_map(report))
    assert len(axes) == 2
    for one, layer in zip(axes, (report.before.furthest, report.delta.furthest), strict=True):
        (image,) = one.images
        assert image.origin == "lower"
        compared = report.delta.count > 0
        np.testing.assert_array_equal(np.asarray(image.get_array())[compared], layer[compared])
        sky, there = one.wcs.pixel_to_world(3, 4), report.delta.wcs.pixel_to_world(3, 4)
        assert sky.separation(there).arcsec < 1e-6
        assert one.get_xlim() == (-0.5, layer.shape[1] - 0.5)
        low, high = image.get_clim()
        assert low == -high
    assert [one.get_title(loc="left") for one in axes] == [
        "tile as given − first pass",
        "tile after its gain − first pass",
    ]


def test_map_of_tiles_as_given_alone(report):
    (axes,) = maps_of(draw_map(replace(report, delta=report.before, after_gain=False)))
    assert axes.get_title(loc="left") == "tile as given − first pass"


def test_colour_bars_have_unit_and_range(report):
    figure = draw_map(report)
    bars = [child.get_ylabel() for axes in maps_of(figure) for child in axes.child_axes]
    signed = report.delta.furthest[report.delta.count > 0]
    assert len(bars) == 2
    assert all(text.startswith("adu ") for text in bars)
    assert f"{signed.min():.4g} to {signed.max():.4g}".replace("-", "−") in bars[1]


def test_outlines_lie_where_the_tiles_are(report):
    for axes in maps_of(draw_map(report)):
        edges, colours = zip(*outlines(axes), strict=True)
        assert colours == (INK,) * 4 + (FLAGGED.lower(),) * 2
        # The first tile is 40 × 32 mosaic pixels from the first one on, a map pixel 4 of them.
        first = min(edges, key=np.sum)
        np.testing.assert_array_equal(first[0], first[-1])
        np.testing.assert_allclose(np.ptp(first, axis=0), (10, 8), atol=0.01)
        np.testing.assert_allclose(first.min(axis=0), -0.5, atol=0.01)


def test_flagged_tiles_are_named(report, labels):
    figure = draw_map(report)
    for axes in maps_of(figure):
        assert set(labels[axes]) == {"0 gain seam", "1 offset", "2", "3", "4", "5"}
        assert [name for name, flagged in labels[axes].items() if flagged] == ["0 gain seam", "1 offset"]
    heading = " ".join(text.get_text() for text in figure.texts).replace("\N{NO-BREAK SPACE}", " ")
    assert "tile 1: offset; tile 0: gain seam" in heading
    assert "residual, 6 tiles" in heading


def test_list_of_findings_is_bounded():
    many = tuple(replace(OFFSET, tile=index) for index in range(12))
    text = finding_list(TwoPassReport(findings=many)).replace("\N{NO-BREAK SPACE}", " ")
    assert text.count("offset") == 8
    assert text.endswith("and 4 more")
    assert finding_list(TwoPassReport(findings=(NOTE,))) == ""


def test_two_hundred_tiles_stay_legible():
    findings = tuple(Finding("offset", 13 * index, 9.0, 9.0, "") for index in range(9))
    figure = draw_map(make_report(rows=10, columns=20, channels=1, findings=findings))
    axes = maps_of(figure)[0]
    plain, flagged = (one for one in axes.collections if isinstance(one, PathCollection))
    assert len(plain.get_paths()) == 191
    assert len(flagged.get_paths()) == 9
    scale = plain.get_transform().get_matrix()[0, 0]
    boxes = [
        path.get_extents().get_points() * scale + place
        for path, place in zip(plain.get_paths(), axes.transData.transform(plain.get_offsets()), strict=True)
    ]
    # Digits are three quarters of the size of the font high.
    assert min(np.ptp(box[:, 1]) for box in boxes) >= 0.7 * 4.5 * DPI / 72
    boxes = [matplotlib.transforms.Bbox(box) for box in boxes]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_numbers_that_would_be_too_small_are_left_out(labels):
    crowd = np.indices((40, 40)).reshape(2, -1).T * 5.0
    assert label_size(crowd) == 0
    assert label_size(crowd * 4) == 9
    assert label_size(np.full((3, 2), np.nan)) == 9
    figure = draw_map(make_report(rows=1, columns=60, channels=1, findings=(OFFSET,)))
    axes = maps_of(figure)[0]
    assert labels[axes] == {"1": True}
    # Nor would sixty outlines leave anything of the map to be seen: the tile that is named, and the edge of all.
    assert [colour for _, colour in outlines(axes)] == [FLAGGED.lower()]
    (edge,) = [one for one in axes.collections if isinstance(one, ContourSet)]
    assert edge.get_paths()[0].get_extents().width == pytest.approx(axes.get_xlim()[1] + 0.5, abs=1.5)


def test_numbers_keep_away_from_edges():
    def edge(left, bottom, size=10.0):
        t = np.arange(8) / 8
        x = np.concatenate((t, t * 0 + 1, 1 - t, t * 0))
        y = np.concatenate((t * 0, t, t * 0 + 1, 1 - t))
        return np.column_stack((left + size * x, bottom + size * y))

    # With half a tile of overlap, the centre of each is a corner of another.
    edges = [edge(5.0 * column, 5.0 * row) for row in range(4) for column in range(4)]
    places = label_places(edges, np.array([1.0, 1.0]))
    assert (np.abs(places / 5 - np.round(places / 5)) * 5 > 1.4).all()
    (alone,) = label_places([edge(3.0, 4.0)], np.array([1.0, 1.0]))
    np.testing.assert_allclose(alone, (8, 9))
    assert np.isnan(label_places([np.full((32, 2), np.nan)], np.array([1.0, 1.0]))).all()
    assert label_places([], np.array([1.0, 1.0])).shape == (0, 2)


def test_limits_hold_the_scatter_and_not_the_stars():
    rng = np.random.default_rng(2)
    signed = rng.normal(0, 2, (100, 100)).astype(np.float32)
    signed[50, 50:60] = 5000
    count = np.ones((100, 100), int)
    count[0] = 0
    signed[0] = 7e7
    delta = DeltaMap(np.abs(signed), signed, count, count - 1, tangent_wcs(), 8, "tiles", (0.0,))
    (half,) = map_limits([delta])
    assert 7 < half < 9
    # However many stars there are: one block in twenty-five.
    stars = signed.copy()
    stars[3::5, 3::5] = 5000
    assert map_limits([replace(delta, signed=stars)]) == [pytest.approx(half, rel=0.1)]
    # A tile that stands out by more is larger than a star; maps that are alike have the range of the largest.
    tile = signed.copy()
    tile[20:60, 20:60] += 20
    steps = replace(delta, signed=tile)
    assert map_limits([delta, steps]) == [pytest.approx(22, abs=2)] * 2
    assert map_limits([delta, replace(delta, signed=1000 * signed)]) == [half, pytest.approx(1000 * half, rel=1e-6)]
    nothing = replace(delta, count=count * 0)
    assert map_limits([nothing]) == [1.0]
    assert map_limits([replace(delta, signed=signed * 0)]) == [1.0]


def test_half_the_noise_of_a_pixel_in_one_tile_of_nine_is_seen():
    rng = np.random.default_rng(3)
    shape, tiles, wcs = (256, 320), [], []
    mosaic = tangent_wcs(crpix=(1.0, 1.0))
    for index in range(9):
        tiles.append(rng.normal(1000.0 + 4.0 * (index == 4), 8.0, shape))
        wcs.append(mosaic.deepcopy())
        wcs[-1].wcs.crpix -= np.array((170, 140)) * divmod(index, 3)[::-1]
    out = (256 + 280, 320 + 340)
    delta = delta_map(tiles, wcs, np.full(out, 1000.0), mosaic, out, downsample=8)
    (half,) = map_limits([delta])
    inside = delta.furthest[20:46, 24:58]
    # In units of the range of the colours: the tile's own colour, and that of the others.
    assert np.median(inside) / half > 0.5
    assert abs(np.median(delta.furthest[:15])) / half < 0.1


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_tiles_picture_shows_gain_and_medians(channels):
    report = make_report(channels=channels, findings=(OFFSET,))
    figure = draw_tiles(report)
    assert len(figure.axes) == 1 + channels
    gains = figure.axes[0].lines[-1].get_ydata()
    np.testing.assert_array_equal(gains, [tile.gain for tile in report.tiles])
    for channel, axes in enumerate(figure.axes[1:]):
        pre, post = (line.get_ydata() for line in axes.lines)
        np.testing.assert_array_equal(pre, [tile.pre.median[channel] for tile in report.tiles])
        np.testing.assert_array_equal(post, [tile.post.median[channel] for tile in report.tiles])
        assert "adu" in axes.get_ylabel()
    assert "1" in [text.get_text() for text in figure.axes[0].texts]


def test_tiles_picture_shows_the_fits_with_errors_and_what_agrees():
    report = make_report(channels=3)
    one = np.ones(3)
    slopes = (0 * one,) * 4
    fits = [
        TileFit(n * one, 0.1 * one, 0.01 * n * one, 0.002 * one, *slopes, 3, 0.3 * one, 0.004 * one) for n in range(3)
    ]
    tiles = [replace(tile, fit=fit) for tile, fit in zip(report.tiles, [*fits, None], strict=True)]
    figure = draw_tiles(replace(report, tiles=tuple(tiles)))
    assert len(figure.axes) == 4 + 2
    for axes, factor, error, agrees in zip(figure.axes[4:], (1.0, 1.0), (0.1, 0.2), (0.3, 0.4), strict=True):
        high, edges, low = axes.patches[0].get_data()
        np.testing.assert_allclose(edges, np.arange(5) - 0.5)
        np.testing.assert_allclose(high, [agrees] * 3 + [np.nan])
        np.testing.assert_array_equal(low, -high)
        points = [container for container in axes.containers if hasattr(container, "has_yerr")]
        assert len(points) == 3
        for channel in points:
            np.testing.assert_allclose(channel.lines[0].get_ydata(), factor * np.arange(3))
            (ends,) = (bars.get_segments() for bars in channel.lines[2])
            np.testing.assert_allclose([np.ptp(end[:, 1]) for end in ends], 2 * error)


def unknown(channels):
    return TileStats.unknown(channels)


@pytest.mark.parametrize(
    "odd",
    [
        single_pixel_report(),
        replace(make_report(), outlines=()),
        replace(make_report(), outlines=(np.full((32, 2), np.nan),) * 4),
        replace(make_report(findings=(OFFSET,)), outlines=(np.full((32, 2), 10.0),) * 4),
        replace(make_report(), findings=(replace(OFFSET, tile=99),)),
        make_report(rows=12, columns=1, channels=1),
        make_report(rows=1, columns=1),
    ],
    ids=["1x1", "no_outlines", "nan_outlines", "outside", "no_such_tile", "strip", "one_tile"],
)
def test_odd_maps_are_drawn(odd, tmp_path):
    write_picture(draw_map, odd, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.height < 4000
        assert max(image.size) > 400


def test_nothing_compared_is_drawn(tmp_path):
    report = make_report()
    delta = replace(report.delta, count=report.delta.count * 0)
    figure = draw_map(replace(report, delta=delta))
    assert "data: none" in maps_of(figure)[1].child_axes[0].get_ylabel()
    write_picture(draw_map, replace(report, delta=delta), tmp_path / "a.png")


def test_odd_tiles_are_drawn(tmp_path):
    records = (
        TileRecord(0, None, np.nan, unknown(3), unknown(3), "derived"),
        TileRecord(1, None, 1.0, unknown(1), unknown(1), "derived"),
    )
    settings = {"gain_clip": None}
    write_picture(draw_tiles, TwoPassReport(records, settings=settings), tmp_path / "a.png")
    write_picture(draw_tiles, TwoPassReport(records[:1]), tmp_path / "b.png")
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_nothing_global_is_touched(tmp_path, report):
    settings, state = dict(matplotlib.rcParams), np.random.get_state()
    write_picture(draw_map, report, tmp_path / "a.png")
    write_picture(draw_tiles, report, tmp_path / "b.png")
    assert dict(matplotlib.rcParams) == settings
    for before, after in zip(state, np.random.get_state(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_matplotlib_comes_late_and_pyplot_never(tmp_path):
    code = (
        "import sys, zemosaic_instrument\n"
        "from helpers import reports\n"
        "assert 'matplotlib' not in sys.modules\n"
        "reports.make_report().write(sys.argv[1])\n"
        "assert 'matplotlib' in sys.modules\n"
        # Older astropy imports pyplot itself; the figures must not be its own all the same.
        "pyplot = sys.modules.get('matplotlib.pyplot')\n"
        "assert pyplot is None or (not pyplot.get_fignums() and 'astropy.visualization.wcsaxes' in sys.modules)\n"
    )
    paths = [path for path in sys.path if path]
    environment = {"PYTHONPATH": ":".join(paths), "PATH": "", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], env=environment, check=True)
    assert (tmp_path / "out" / "twopass_delta_map.png").exists()
