"""What is drawn in inches, and mosaics on it: where values and colours are."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from helpers.reports import make_seams
from zemosaic_twopass.diagnosis.seams import SeamMap
from zemosaic_twopass.report import seam_picture
from zemosaic_twopass.report.backdrop import Backdrop
from zemosaic_twopass.report.canvas import Canvas

matplotlib = pytest.importorskip("matplotlib")


@pytest.mark.parametrize("side", [1, -1])
def test_ticks_are_where_their_values_are(side):
    canvas = Canvas(4.0)
    box = canvas.box(1.0, 0.5, 2.0, 3.0)
    canvas.ticks(box, (-2.0, 4.0), 6, side)
    at = {text.get_text(): text.get_position() for text in canvas.figure.texts}
    assert {"\N{MINUS SIGN}2", "0", "4"} <= at.keys()
    for text, (x, y) in at.items():
        np.testing.assert_allclose(y, 0.5 + 3.0 * (float(text.replace("\N{MINUS SIGN}", "-")) + 2.0) / 6.0)
        assert x > 3.0 if side > 0 else x < 1.0


@pytest.mark.parametrize(("step", "share"), [(1.0, 0.75), (-1.0, 0.25), (2.0, 1.0), (50.0, 1.0), (-50.0, 0.0)])
def test_an_edge_has_the_colour_of_its_step_in_noise(step, share):
    own = make_seams()
    (edge,) = [edge for edge in own["seams"][-1].edges if edge.look == "visible"]
    noise = np.hypot(*edge.noise) / np.sqrt(2)
    shown = replace(edge, step=(step * noise,), error=(1e-3 * noise,), contrast=abs(step))
    figure = seam_picture.draw_seams((replace(own["seams"][-1], edges=(shown,)),), [], own["backdrops"][-1:])
    *_, line = [artist for artist in figure.artists if artist.get_clip_box() and hasattr(artist, "get_paths")]
    np.testing.assert_allclose(line.get_colors()[0], matplotlib.colormaps["RdBu_r"](share), atol=0.02)


def test_a_mosaic_is_drawn_where_its_edges_are():
    """A pixel of it in the middle of the panel, in the figure as it is cut."""
    own = make_seams()
    seams, backdrop = own["seams"][-1], own["backdrops"][-1]
    (edge,) = [edge for edge in seams.edges if edge.look == "visible"]
    middle = replace(edge, x=(backdrop.shape[1] - 1) / 2, y=(backdrop.shape[0] - 1) / 2)
    figure = seam_picture.draw_seams((replace(seams, edges=(middle,)),), [], (backdrop,))
    *_, line = [artist for artist in figure.artists if artist.get_clip_box() and hasattr(artist, "get_paths")]
    (panel,) = [artist for artist in figure.artists if artist.get_label() == "mosaic"]
    ends = line.get_transform().transform(line.get_paths()[0].vertices)
    box = panel.get_window_extent()
    step = backdrop.step * box.width / backdrop.shape[1]
    np.testing.assert_allclose(ends.mean(axis=0), (box.min + box.max) / 2, atol=step)


def test_a_mosaic_of_a_few_rows_is_drawn_without_a_warning(tmp_path):
    thin = Backdrop.of(np.full((2, 5000), 3.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seam_picture.write_seam_picture([SeamMap.of("a", [], 1)], [], [thin], tmp_path / "thin.png")
