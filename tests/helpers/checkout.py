"""Ways into the second pass of a real ZeMosaic, whatever its version, and what is kept of a run of each.

Nothing of a ZeMosaic is kept here: it is read from the folder that the environment variable ZEMOSAIC names.
"""

import contextlib
import inspect
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from helpers.logs import ListHandler
from helpers.passes import Scene, digest
from zemosaic_twopass.offline.workers import run_second_pass
from zemosaic_twopass.settings import LOGGER_NAME
from zemosaic_twopass.tiles.records import Tile
from zemosaic_twopass.watch.hooks import CALLER, SECOND_PASS, may_lack, since_of

SIGMA = 12
CLIP = (0.85, 1.18)
# The steps of Phase 5 above the second pass.
ASSEMBLY, POST_STACK = "assemble_final_mosaic_reproject_coadd", "_apply_phase5_post_stack_pipeline"
# Channels and tiles one after the other: only so does a seeded run repeat to the bit.
ONE = {"cpu_workers": 1}
# How much memory is used is no matter of the pipeline, and never the same twice.
_MEMORY = re.compile(r"\d+(\.\d+)?(?=MB|%)")


def path_of_worker():
    """The worker in the folder that ZEMOSAIC names; the test that asks is skipped where it names none."""
    folder = os.environ.get("ZEMOSAIC")
    if not folder:
        pytest.skip("ZEMOSAIC names no folder: make test-public ZEMOSAIC=FOLDER")
    return Path(folder).resolve() / "zemosaic_worker.py"


@dataclass(frozen=True)
class Outcome:
    """What can be told of a run from outside: bytes, the global generator, the worker's own lines, the inputs."""

    result: str
    random: str
    lines: tuple
    given: str


def known_arguments(function, **kwargs):
    """Those keyword arguments that this version has."""
    return {name: value for name, value in kwargs.items() if name in inspect.signature(function).parameters}


class Way:
    """One way into the second pass of a worker; `tiles` are those that the pass was given last."""

    def __init__(self, worker, folder):
        self.worker, self.folder = worker, folder
        self.scene = Scene.make(3, noise=6.0)
        self.tiles = self.scene.tiles

    def given(self):
        return self.scene.digest()

    def call(self, logger):
        raise NotImplementedError

    def outcome(self):
        """Run it once, seeded."""
        logger = logging.getLogger(LOGGER_NAME)
        np.random.seed(3)
        with lines_of(logger, Path(self.worker.__file__).parent) as lines:
            arrays = self.call(logger)
        state = np.random.get_state()
        found = [np.asarray(array) for array in arrays if array is not None]
        told = tuple((level, _MEMORY.sub("-", text)) for level, text in lines)
        return Outcome(digest(*found), digest(state[1], np.array(state[2:])), told, self.given())


class Direct(Way):
    """The second pass, called as its caller does."""

    def call(self, logger):
        _, coverage, wcs, shape = self.scene.first
        function = getattr(self.worker, SECOND_PASS)
        more = known_arguments(
            function, tiles_coverage=self.scene.coverage, parallel_plan=ONE, use_gpu_two_pass=False, logger=logger
        )
        lists = self.scene.tiles, self.scene.wcs
        return function(*lists, wcs, coverage, shape, sigma_px=SIGMA, gain_clip=CLIP, **more)


class ByCaller(Way):
    """Through the function that merges both passes, and holds the first."""

    def __init__(self, worker, folder):
        if not hasattr(worker, CALLER) and may_lack(since_of(getattr(worker, SECOND_PASS))):
            pytest.skip(f"this version calls its second pass from nowhere else: no {CALLER}")
        super().__init__(worker, folder)

    def call(self, logger):
        assert hasattr(self.worker, CALLER)
        columns = self.scene.tiles, self.scene.wcs, self.scene.coverage
        tiles = [Tile(*fields) for fields in zip(*columns, strict=True)]
        return run_second_pass(self.worker, self.scene.first, tiles, sigma=SIGMA, clip=CLIP, logger=logger)


class Cropped(ByCaller):
    """Through the same function, the first pass smaller than the shape that the second is asked for."""

    def __init__(self, worker, folder):
        super().__init__(worker, folder)
        self.scene = Scene.make(3, noise=6.0, shape=(240, 330), overlap=0.5)
        mosaic, coverage, wcs, shape = self.scene.first
        self.scene.first = mosaic[:-30].copy(), coverage[:-30].copy(), wcs, shape


class Displaced(ByCaller):
    """Through the same function, all tiles displaced since the first pass."""

    def __init__(self, worker, folder):
        super().__init__(worker, folder)
        self.scene = Scene.make(3, noise=6.0, shape=(240, 330), overlap=0.5)
        self.scene.wcs = [wcs.deepcopy() for wcs in self.scene.wcs]
        for wcs in self.scene.wcs:
            wcs.wcs.crpix -= 12, 9


class Phase5(Way):
    """The assembly of master tiles from disk, and then what follows it, the second pass among that."""

    match = False

    def __init__(self, worker, folder):
        for name in (ASSEMBLY, POST_STACK):
            if not hasattr(worker, name):
                pytest.skip(f"this version has no {name}")
        super().__init__(worker, folder)
        self.masters = [self._written(index) for index in range(len(self.scene.tiles))]

    def _written(self, index):
        """(path, WCS) of a master tile as ZeMosaic writes them."""
        pixels, wcs = self.scene.tiles[index], self.scene.wcs[index].deepcopy()
        wcs.array_shape = pixels.shape[:2]
        cube = np.moveaxis(np.nan_to_num(pixels, nan=0.0), 2, 0)
        alpha = np.uint8(255) * (self.scene.coverage[index] > 0).astype(np.uint8)
        path = self.folder / f"master_{index}.fits"
        hdus = [fits.PrimaryHDU(cube, wcs.to_header(relax=True)), fits.ImageHDU(alpha, name="ALPHA")]
        fits.HDUList(hdus).writeto(path, overwrite=True)
        return str(path), wcs

    def call(self, logger):
        wcs, shape = self.scene.first[2:]
        assemble, post_stack = getattr(self.worker, ASSEMBLY), getattr(self.worker, POST_STACK)
        collected = []
        mosaic, coverage, alpha = assemble(
            self.masters,
            wcs,
            shape,
            lambda *args, **kwargs: None,
            match_bg=True,
            collect_tile_data=collected,
            intertile_photometric_match=self.match,
            **known_arguments(assemble, parallel_plan=ONE),
        )[:3]
        self.tiles = [np.array(entry[0]) for entry in collected]
        more = known_arguments(post_stack, parallel_plan=ONE, patchwork_suppressor_enabled=True)
        done = post_stack(
            mosaic,
            coverage,
            alpha,
            enable_lecropper_pipeline=False,
            pipeline_cfg=None,
            enable_master_tile_crop=False,
            master_tile_crop_percent=0,
            two_pass_enabled=True,
            two_pass_sigma_px=SIGMA,
            two_pass_gain_clip=CLIP,
            final_output_wcs=wcs,
            final_output_shape_hw=shape,
            use_gpu_two_pass=False,
            logger=logger,
            collected_tiles=collected,
            **more,
        )
        return [array for array in done if isinstance(array, np.ndarray)]


class MatchedPhase5(Phase5):
    """The same with the tiles made alike before they are put together."""

    match = True


@contextlib.contextmanager
def lines_of(logger, checkout):
    """A list that the lines of a checkout's own code go to; a probe's own go by."""
    handler = ListHandler()
    handler.addFilter(lambda record: Path(record.pathname).is_relative_to(checkout))
    kept = logger.handlers, logger.level, logger.propagate
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.messages
    finally:
        logger.handlers, logger.propagate = kept[0], kept[2]
        logger.setLevel(kept[1])
