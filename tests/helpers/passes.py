"""Small scenes, and the second passes of our own worker on them, bare or watched."""

import contextlib
import hashlib
import importlib.util
import sys
from dataclasses import dataclass

import numpy as np

import zemosaic_instrument
from zemosaic_twopass.offline.workers import OURS
from zemosaic_twopass.report.artefacts import ARTEFACTS
from zemosaic_twopass.report.evidence_picture import EVIDENCE_PICTURE
from zemosaic_twopass.report.pictures import MAP_PICTURE, TILES_PICTURE
from zemosaic_twopass.report.seam_picture import SEAMS_PICTURE
from zemosaic_twopass.synthetic.sky import synthetic_tiles

SEAMS = (
    "run_second_pass_coverage_renorm",
    "compute_per_tile_gains_from_coverage",
    "reproject_and_coadd_wrapper",
    "_apply_two_pass_coverage_renorm_if_requested",
)
SIGMA = 12
CLIP = (0.85, 1.18)


@dataclass
class Scene:
    """Tiles and their first pass, made once and never written to."""

    tiles: list
    wcs: list
    coverage: list
    first: tuple

    @classmethod
    def make(cls, channels, **kwargs):
        masters = synthetic_tiles(**{"rows": 2, "columns": 2, "shape": (84, 100), "overlap": 0.6, **kwargs})
        data = [np.ascontiguousarray(m.pixels if channels == 3 else m.pixels[..., 0]) for m in masters]
        wcs, coverage = [m.wcs for m in masters], [m.coverage for m in masters]
        np.random.seed(0)
        return cls(data, wcs, coverage, load_copy("first_pass_worker").assemble_first_pass(data, wcs, coverage))

    def second_pass(self, worker, logger=None, **kwargs):
        """Seeded and serial, called directly."""
        np.random.seed(3)
        _, coverage, wcs, shape = self.first
        return worker.run_second_pass_coverage_renorm(
            self.tiles,
            self.wcs,
            wcs,
            coverage,
            shape,
            sigma_px=SIGMA,
            gain_clip=CLIP,
            logger=logger,
            tiles_coverage=self.coverage,
            parallel_plan={"cpu_workers": 1},
            **kwargs,
        )

    def merged(self, worker, logger=None):
        """Seeded and serial, through the merging caller."""
        np.random.seed(3)
        mosaic, coverage, wcs, shape = self.first
        return worker._apply_two_pass_coverage_renorm_if_requested(
            mosaic,
            coverage,
            two_pass_enabled=True,
            two_pass_sigma_px=SIGMA,
            gain_clip_tuple=CLIP,
            final_output_wcs=wcs,
            final_output_shape_hw=shape,
            logger=logger,
            collected_tiles=list(zip(self.tiles, self.wcs, self.coverage, strict=True)),
            parallel_plan={"cpu_workers": 1},
        )

    def digest(self):
        """Fingerprint of everything that a second pass is given."""
        return digest(*self.tiles, *self.coverage, *self.first[:2], np.array([id(w) for w in self.wcs]))


def digest(*arrays):
    """SHA-256 of dtype, shape and bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def load_copy(name, path=OURS):
    """A copy of a worker, imported under a name of its own and registered by it."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def probe_of(module, **settings):
    """A strict probe that asks for no map."""
    return zemosaic_instrument.TwoPassProbe(module, **{"delta_map": False, "strict": True, **settings})


def leave_out_pictures(patch):
    """Drawing takes most of the time of a report."""
    for name in (MAP_PICTURE, TILES_PICTURE, EVIDENCE_PICTURE, SEAMS_PICTURE):
        # Not taken out: put back, it would stand behind the page that shows it.
        patch.setitem(ARTEFACTS, name, (lambda report: False, None))


@contextlib.contextmanager
def watched(kind, monkeypatch, directory, strict=True):
    """A copy of our worker in one of the ways in which it may be watched."""
    if kind == "plain":
        monkeypatch.setattr(zemosaic_instrument, "two_pass_diagnostics", lambda function: function)
    if kind == "decorated_on":
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG", "1")
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DELTA_MAP", "1")
        monkeypatch.setenv("ZEMOSAIC_TWO_PASS_DEBUG_DIR", str(directory))
    module = load_copy(f"worker_{kind}")
    settings = {"directory": directory, "downsample": 4, "strict": strict}
    try:
        if kind == "probed":
            with zemosaic_instrument.TwoPassProbe(module, **settings):
                yield module
        elif kind == "attached":
            zemosaic_instrument.attach(module, **settings)
            try:
                yield module
            finally:
                zemosaic_instrument.detach(module)
        else:
            yield module
    finally:
        monkeypatch.undo()
        del sys.modules[module.__name__]
