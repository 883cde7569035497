"""What becomes of a second pass that was captured: its report, its files, its lines."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from itertools import zip_longest

from ..diagnosis.examine import Examination
from ..diagnosis.gather import gather, sampler
from ..diagnosis.verdict import summary_of, verdict_of
from ..files import whole_file
from ..parallel import apart
from ..report.artefacts import MAP_NAME, ArtefactError
from ..report.report import TwoPassReport, file_lines, finding_lines, tile_lines
from ..settings import Settings
from .build import delta_maps, examination_of, settings_of, tile_outlines, tile_records
from .journal import tell_report
from .runs import prune_runs, run_folder


def publish(run, ran, probe):
    """Make the report of a call for one probe, keep it there, write its files and its lines.

    Parameters
    ----------
    run : Run
        After its body.
    ran : bool
        Whether the body gave a mosaic.
    probe : TwoPassProbe
        Whose settings count.

    Raises
    ------
    ArtefactError
        If a file cannot be written, after all were tried; the report is among the probe's by then.
    """
    logger = probe.logger_of(run)
    records = tile_records(run.capture, probe.names) if logger.isEnabledFor(logging.DEBUG) else ()
    for record in records:
        run.say(logger, *tile_lines(record))
    second_pass = run.capture.second_pass
    maps = delta_maps(second_pass, probe.downsample) if probe.delta_map and ran else (None, None)
    found = examination_of(second_pass) if probe.delta_map else Examination(())
    findings, evidence = found.findings, ()
    if probe.delta_map:
        # A finding stands without its picture too.
        with run.guard():
            evidence = gather(found, sampler(second_pass), second_pass)
    summary, worst = summary_of(findings, probe.delta_map, ran)
    report = TwoPassReport(
        tuple(replace(record, fit=fit) for record, fit in zip_longest(records, found.fits) if record is not None),
        *maps,
        findings,
        verdict_of(findings) if probe.delta_map and ran else "undetermined",
        worst,
        summary,
        evidence=evidence,
        outlines=tile_outlines(second_pass.tiles) if maps[0] else (),
        settings=settings_of(run.capture, probe.downsample),
        run=run.capture.run,
    )
    probe.reports.append(report)
    last = (*finding_lines(report.findings), report.verdict_line())
    try:
        files = apart(_write, report, probe.directory, logger)
    except ArtefactError as error:
        run.say(logger, *file_lines(report, error.written), *last)
        tell_report(run, report, error.written)
        raise
    run.say(logger, *file_lines(report, files), *last)
    tell_report(run, report, files)


def _write(report, directory, logger):
    if directory is not None:
        return report.write(directory, logger)
    settings = Settings.from_environment()
    base = settings.directory
    with run_folder(base) as (folder, final):
        try:
            paths = report.write(folder, logger)
        except ArtefactError as error:
            text = str(error).replace(str(folder), str(final))
            raise ArtefactError(text, [final / path.name for path in error.written]) from error
    paths = tuple(final / path.name for path in paths)
    for path in paths:
        if path.name == MAP_NAME:
            # The fixed name is there for scripts; replaced whole, so two processes never mix.
            with whole_file(base / MAP_NAME) as temporary:
                shutil.copyfile(path, temporary)
    prune_runs(base, settings.keep)
    return paths
