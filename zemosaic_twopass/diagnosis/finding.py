"""One thing that was found, or nearly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .kinds import KINDS, Kind
from .terms import TileTerms


@dataclass(frozen=True)
class WhatIf:
    """The largest step from a tile to a neighbour, as it is and as it would be; NaN for what is not known.

    A step is the median difference where both are, before background matching (of `gain_seam`, after it). What was
    found in the neighbour is taken out of it, so that its own fault is not counted here. For a shift, the median
    distance of the tile's stars from those of the others.

    Attributes
    ----------
    given : float
        The tile as given.
    after_gains : float
        Both after the gains that were applied.
    taken_out : float
        With the fault taken out: of the tile as given; for a wrong gain with the gain that was recorded, for
        `gain_seam` with equal gains.
    unit : str
    noise : float
        Noise of one pixel of the tile, in adu.
    mosaic, mosaic_taken_out : float
        The step in adu at `Finding.seam` in the last mosaic that was seen, and with what the fault makes there taken
        out; NaN where that is not known.
    """

    given: float
    after_gains: float
    taken_out: float
    unit: str
    noise: float
    mosaic: float = math.nan
    mosaic_taken_out: float = math.nan

    def between_tiles(self):
        """What it says of steps between tiles, before matching, as a part of a sentence."""
        return (
            f"; its largest step to a neighbour, {self.given:.4g} adu, is {in_digits(self.taken_out)} adu with that "
            f"taken out ({in_digits(self.taken_out / self.noise)} times the noise)"
        )


@dataclass(frozen=True)
class Finding:
    """One thing that was found; docs/findings.md has the kinds.

    Attributes
    ----------
    kind : str
        Name of one of `KINDS`.
    tile : int or None
        None where it is about the run or about all tiles, or where two differ and no third says which is wrong.
    value : float
        Size of the effect; NaN where it has none.
    sigma : float
        How many standard errors it is from none, all channels together; infinite for what was compared exactly.
    message : str
        One sentence: what it means and what to look at.
    unit : str
        Unit of `value`.
    error : float
        Standard error of `value`, in the same unit.
    channel : int or None
        Channel in which it is largest; None where it is not about one.
    runner_up : str
        The next best explanation and how many standard errors speak for it; empty where there is none.
    test : {"merge", "passes", "contract", "gains", "closure", "mosaic", "residual", "seam", "map"}
        What it was found by, or, of a note, what could not be tested.
    tiles : tuple of int
        The two that a step is between, where the finding is about one step; else empty.
    what_if : WhatIf or None
        None where it is about no tile, or makes no step, as a slope whose ends cancel.
    seam : Edge or None
        In the last mosaic, that of this tile with the largest step that the finding accounts for; where it accounts for
        none of its own that is seen, but for one beside them, that one. None where that is not known.
    """

    kind: str
    tile: int | None
    value: float
    sigma: float
    message: str
    unit: str = "adu"
    error: float = math.nan
    channel: int | None = None
    runner_up: str = ""
    test: str = "contract"
    tiles: tuple[int, ...] = ()
    what_if: WhatIf | None = None
    # Not by its name: seams know findings, not findings seams.
    seam: object | None = None

    @classmethod
    def of(cls, kind, tile, value, sigma, said=(), **fields):
        """A finding with what goes with its kind.

        Parameters
        ----------
        kind : str
            Name of one of `KINDS`.
        tile, value, sigma
            As the attributes.
        said : mapping, optional
            What the sentence of the kind is filled in with beside tile and value.
        **fields
            Other attributes; message, unit and test by default are those of the kind.

        Returns
        -------
        Finding
        """
        about = KINDS[kind]
        if "message" not in fields:
            fields["message"] = about.sentence.format(advice=about.advice, tile=tile, value=value, **dict(said))
        return cls(kind, tile, value, sigma, **{"unit": about.unit, "test": about.test, **fields})

    @property
    def about(self):
        """What goes with its kind; of one that only another version knows no more than its name."""
        return KINDS.get(self.kind) or Kind(self.kind, "note")


@dataclass(frozen=True)
class Nearly:
    """What is not enough for a finding: of which it has the parts `sure` and `large` of what makes one.

    `terms` are those of the tile with this in it; None for a shift.
    """

    finding: Finding
    sure: float
    large: float
    terms: TileTerms | None = None

    @property
    def closeness(self):
        return min(self.sure, self.large)


def in_digits(value, digits=2):
    """A number as sentences have it: so many digits, and no exponent before 10 million; 150, not 1.5e+02."""
    return f"{float(f'{value:.{digits}g}'):.7g}"


def note_untested(tile, reason, test):
    """A note that a test could not be made of a tile, or of none (None)."""
    return Finding.of("undetermined", tile, math.nan, 0.0, {"message": reason}, test=test)


def of_a_pair(finding, pair):
    """Where two tiles only meet each other nobody can say which of them is wrong."""
    size, (first, second) = abs(finding.value), sorted(pair)
    message = (
        f"Tiles {first} and {second} differ by {size:.4g} {finding.unit}; no third tile says which of them is wrong: "
        "look at both."
    )
    return replace(finding, tile=None, value=size, message=message, tiles=(finding.tile, sum(pair) - finding.tile))
