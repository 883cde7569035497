"""A figure that is drawn on in inches, and the images on it."""

from __future__ import annotations

import numpy as np

from .style import INK, SMALL, TEXT, WIDTH, new_figure


class Canvas:
    """A figure on which is drawn from its top down, in inches.

    Without axes but for charts: those of a single image would take as long as all else of a finding.

    Parameters
    ----------
    height : float
    width : float, optional
    """

    def __init__(self, height, width=WIDTH):
        from matplotlib.transforms import Affine2D

        self.figure, self.height, self.width = new_figure(height, width), height, width
        # By way of the figure, which is moved where it is cut to what is drawn.
        self.inches = Affine2D().scale(1 / width, 1 / height) + self.figure.transFigure

    def up(self, down):
        """Height above the lower edge of the figure of a place so far below its top."""
        return self.height - down

    def text(self, left, down, text, **more):
        own = {"va": "top", "fontsize": SMALL, **TEXT, "transform": self.inches, **more}
        return self.figure.text(left, self.up(down), text, **own)

    def axes(self, left, down, width, height):
        box = left / self.width, self.up(down + height) / self.height, width / self.width, height / self.height
        return self.figure.add_axes(box)

    def add(self, artist, **how):
        """An artist with its places in inches from the lower left corner, unless `how`, as `Artist.set`, says else."""
        return self.figure.add_artist(artist(**{"transform": self.inches, **how}))

    def box(self, left, down, width, height):
        """So large a box in inches, so far below the top: a matplotlib.transforms.Bbox."""
        from matplotlib.transforms import Bbox

        return Bbox.from_bounds(left, self.up(down + height), width, height)

    def frame(self, box, **look):
        """A frame around a box; `look` as for `Patch.set`."""
        from matplotlib.patches import Rectangle

        own = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9, "zorder": 2}
        self.add(Rectangle, xy=box.min, width=box.width, height=box.height, **own | look)

    def image(self, values, box, colours, limits, label="layer", interpolation="nearest"):
        """An image in a frame; `box` is a matplotlib.transforms.Bbox in inches."""
        from matplotlib import colormaps
        from matplotlib.colors import Normalize
        from matplotlib.image import BboxImage
        from matplotlib.transforms import TransformedBbox

        if not np.isfinite(values).all():
            # What is not known is hatched, as in the map: white means that nothing differs.
            self.frame(box, facecolor="0.88", edgecolor="0.6", hatch="////", linewidth=0, zorder=0)
        shown = BboxImage(
            TransformedBbox(box, self.inches),
            cmap=colormaps[colours].with_extremes(bad=(0, 0, 0, 0)),
            norm=Normalize(*limits),
            origin="lower",
            interpolation=interpolation,
            label=label,
            zorder=1,
        )
        shown.set_data(values)
        self.figure.add_artist(shown)
        self.frame(box)

    def ticks(self, box, limits, count, side=1):
        """About `count` round values, from the lower to the upper side of a box, to its right (1) or left (-1)."""
        from matplotlib.collections import LineCollection
        from matplotlib.ticker import MaxNLocator

        edge, align = (box.x1, "left") if side > 0 else (box.x0, "right")
        marks = []
        for tick in MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(*limits):
            if limits[0] <= tick <= limits[1]:
                level = box.y0 + box.height * (tick - limits[0]) / (limits[1] - limits[0])
                marks.append([(edge, level), (edge + 0.04 * side, level)])
                number = f"{tick:.4g}".replace("-", "\N{MINUS SIGN}")
                self.text(edge + 0.07 * side, self.up(level), number, ha=align, va="center")
        self.add(LineCollection, segments=marks, colors=INK, linewidths=0.8)
