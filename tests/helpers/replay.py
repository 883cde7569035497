"""A night that is replayed: tiles and mosaic are made once, the coadd is looked up, only the diagnostics take time."""

import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest

from helpers import old_workers
from helpers.passes import digest
from helpers.scenes import Pass

UTILITIES = """
import numpy as np

def reproject_and_coadd_wrapper(data_list, wcs_list, shape_out, use_gpu=False, cpu_func=None, **kwargs):
    mosaic, weights = planes[digest(*data_list)]
    # As in the real one the global generator has its part in every pixel.
    return mosaic + np.random.normal(0, 1e-6, shape_out), weights
"""
# What newer workers have around the caller.
AROUND = """

def _apply_phase5_post_stack_pipeline(*args, **kwargs):
    return *_apply_two_pass_coverage_renorm_if_requested(*args, **kwargs), None
"""


@dataclass
class Night:
    """A miniature worker of the newest version and what its second pass is given."""

    worker: types.ModuleType
    scene: Pass

    @classmethod
    def make(cls, columns=3, shape=(56, 80), channels=1, fault=None):
        """Tiles side by side; fault "mask": the coadd leaves out a strip of tile 1; "offset": tile 1 is too bright."""
        gains = [1 + 0.125 * index for index in range(columns)]
        scene = Pass.make(1, columns, shape, channels, overlap=0.6, gains=gains)
        if fault == "offset":
            scene.tiles[1] = scene.tiles[1] + np.float32(60)
        coverage = [mask.copy() for mask in scene.coverage]
        if fault == "mask":
            coverage[1][:, :20] = 0
        scene.coadd(coverage=coverage)
        corrected = [np.atleast_3d(plane) for plane in scene.planes()]
        planes = {}
        for channel in range(channels):
            key = digest(*[tile[..., channel] for tile in corrected])
            planes[key] = np.nan_to_num(scene.mosaic[..., channel]), scene.weights
        return cls(worker_of(planes), scene)

    def call(self, logger=None):
        """The second pass through its caller and the steps around that, seeded."""
        np.random.seed(3)
        scene = self.scene
        *result, _ = self.worker._apply_phase5_post_stack_pipeline(
            scene.mosaic,
            scene.weights,
            two_pass_enabled=True,
            two_pass_sigma_px=5,
            gain_clip_tuple=(0.5, 2.0),
            final_output_wcs=scene.out,
            final_output_shape_hw=scene.shape,
            logger=logger,
            collected_tiles=list(zip(scene.tiles, scene.wcs, strict=True)),
        )
        return tuple(result)

    def given(self):
        """Fingerprint of everything that goes into the call."""
        return digest(*self.scene.tiles, self.scene.mosaic, self.scene.weights)


def worker_of(planes):
    """A worker whose coadd gives these planes, by the digest of what it is given; registered nowhere."""
    utilities, worker = types.ModuleType("zemosaic_utils"), types.ModuleType("zemosaic_replay")
    vars(utilities).update(planes=planes, digest=digest)
    exec(UTILITIES, vars(utilities))
    source = old_workers.source("2025-12-23")
    # The old worker's caller coadds the first pass again, of blackened tiles; here that mosaic is there already.
    start = source.index("    # The first pass uses")
    source = source[:start] + source[source.index("    return run_second_pass") :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "zemosaic_utils", utilities)
        exec(source + AROUND, vars(worker))
    return worker
