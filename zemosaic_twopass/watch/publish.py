"""What becomes of a second pass that was captured: its report, its files, its lines."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, replace

from ..diagnosis.evidence import gather
from ..diagnosis.examination import NO_MOSAIC, Examination
from ..diagnosis.finding import note_untested
from ..files import reason_of, whole_file
from ..parallel import apart
from ..report.artefacts import MAP_NAME, ArtefactError
from ..report.lines import log_lines, tile_lines
from ..report.report import TwoPassReport
from ..settings import Settings
from ..tiles.tile_set import TileSet
from .build import delta_maps, examination_of, measure_pass, settings_of, tile_records
from .journal import tell_report
from .runs import prune_runs, run_folder
from .seams import Stages, stages_of


@dataclass(eq=False)
class Draft:
    """What is to be reported of a pass that has ended, whole but for what its caller makes of it.

    Attributes
    ----------
    probe : TwoPassProbe
        Whose settings count, and who keeps the report.
    logger : logging.Logger
    found : Examination
        Without the blocks and points that it rests on.
    parts : dict
        Parts of the report, as `TwoPassReport.of` takes them.
    stages : Stages or None
        Its mosaics up to now; None where their seams cannot be measured.
    """

    probe: object
    logger: logging.Logger
    found: Examination
    parts: dict
    stages: Stages | None = None

    @property
    def wanted(self):
        """Whether anything is to be said: a map was asked for, or the log is at DEBUG."""
        return self.probe.delta_map or self.logger.isEnabledFor(logging.DEBUG)


def draft_of(run, probe):
    """Examine a call for one probe, and say the lines of its tiles.

    Each part is guarded by itself: one that cannot be made takes no other with it. Only where the tiles cannot be
    measured are there neither map nor findings.

    Parameters
    ----------
    run : Run
        After its body.
    probe : TwoPassProbe

    Returns
    -------
    Draft
    """
    logger, capture = probe.logger_of(run), run.capture
    second_pass = capture.second_pass
    records, maps, outlines, settings, evidence, stages = (), (None, None), (), {}, (), None
    missing = () if second_pass.mosaic is not None else (note_untested(None, NO_MOSAIC, "mosaic"),)
    found = Examination(missing, asked=probe.delta_map)
    measured = []
    if probe.delta_map:
        with run.guard():
            measured = measure_pass(capture, probe.downsample)
    with run.guard():
        records = tile_records(capture, measured, probe.names)
    for record in records:
        run.say(logger, [(logging.DEBUG, line) for line in tile_lines(record)])
    if probe.delta_map:
        # What cannot be examined is not clean.
        found = Examination((note_untested(None, "The diagnosis failed: see the warning in the log.", "residual"),))
        with run.guard():
            found = examination_of(second_pass, measured)
        with run.guard():
            evidence = gather(found, TileSet.of_pass(second_pass), second_pass)
        with run.guard():
            stages = stages_of(run, measured, found)
        with run.guard():
            if second_pass.mosaic is not None and len(measured) == len(second_pass.tiles):
                maps = delta_maps(second_pass, measured, probe.downsample)
                outlines = tuple(one.outline for one in measured) if maps[0] else ()
    with run.guard():
        settings = settings_of(capture, probe.downsample)
    parts = {"maps": maps, "evidence": evidence, "outlines": outlines, "settings": settings, "run": capture.run}
    return Draft(
        probe, logger, replace(found, corrected_tiles=None, closure=None), {"records": records, **parts}, stages
    )


def publish(run, draft, merge):
    """Finish the report of a call, keep it with its probe, write its files and its lines.

    Parameters
    ----------
    run : Run
    draft : Draft
    merge : Merge or None
        What the caller made of the second pass; None where there is none or that is not known.

    Raises
    ------
    ArtefactError
        If a file cannot be written, after all were tried; the report is among the probe's by then.
    """
    probe, logger = draft.probe, draft.logger
    found, seams = draft.found.after(merge), {}
    if draft.stages is not None:
        with run.guard():
            seams = draft.stages.measure()
        with run.guard():
            found, seams = draft.stages.explain(found, seams)
    report = TwoPassReport.of(found, **draft.parts, **seams, merge=merge)
    probe.reports.append(report)
    try:
        files = apart(_write, report, probe.directory, logger)
    except ArtefactError as error:
        _say(run, draft, report, error.written)
        raise
    _say(run, draft, report, files)


def _say(run, draft, report, files):
    if draft.wanted:
        run.say(draft.logger, log_lines(report, files))
    tell_report(run, report, files)


def _write(report, directory, logger):
    if directory is not None:
        return report.write(directory, logger)
    settings = Settings.from_environment()
    base = settings.directory
    paths = _write_to_run(report, base, logger)
    for path in paths:
        if path.name == MAP_NAME:
            try:
                # The fixed name is there for scripts; replaced whole, so two processes never mix.
                with whole_file(base / MAP_NAME) as temporary:
                    shutil.copyfile(path, temporary)
            except OSError as error:
                # As on Windows, where nothing takes the place of a file that a program has open.
                raise ArtefactError(f"{base / MAP_NAME}: not written: {reason_of(error)}", paths) from error
    prune_runs(base, settings.keep)
    return paths


def _write_to_run(report, base, logger):
    """The files of a report in a folder of its own under `base`; as `TwoPassReport.write`."""
    paths = ()
    try:
        with run_folder(base) as (folder, final):
            paths = report.write(folder, logger)
    except ArtefactError as error:
        text = str(error).replace(str(folder), str(final))
        raise ArtefactError(text, [final / path.name for path in error.written]) from error
    except OSError as error:
        # As on Windows, where a folder is not renamed while a program looks into it: it keeps its dot.
        raise ArtefactError(f"{final}: the folder is called {folder.name}: {reason_of(error)}", paths) from error
    return tuple(final / path.name for path in paths)
