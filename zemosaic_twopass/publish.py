"""What becomes of a second pass that was captured: its report, its files, its lines."""

from __future__ import annotations

import logging
import shutil

from .build import delta_maps, findings_of, summary_of, tile_records
from .diagnosis import verdict_of
from .files import run_directory, whole_file
from .report import TwoPassReport, delta_line, finding_line, tile_lines
from .settings import Settings


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
    OSError
        If a file cannot be written; the report is among the probe's by then.
    """
    logger = probe.logger_of(run.capture)
    records = tile_records(run.capture, probe.names) if logger.isEnabledFor(logging.DEBUG) else ()
    for record in records:
        run.say(logger, *tile_lines(record))
    maps = delta_maps(run.capture, probe.downsample) if probe.delta_map and ran else (None, None)
    findings = findings_of(run.capture) if probe.delta_map else ()
    verdict = verdict_of(findings) if probe.delta_map and ran else "undetermined"
    summary, worst = summary_of(findings, probe.delta_map, ran)
    report = TwoPassReport(records, *maps, findings, verdict, worst, summary)
    probe.reports.append(report)
    if report.delta is not None:
        run.say(logger, delta_line(report.delta, _write(report, probe.directory)[0]))
    for finding in report.findings:
        run.say(logger, finding_line(finding))
    run.say(logger, report.verdict_line())


def _write(report, directory):
    if directory is not None:
        return report.write(directory)
    base = Settings.from_environment().directory
    paths = report.write(run_directory(base))
    # The fixed name is there for scripts; replaced whole, so two processes never mix.
    with whole_file(base / paths[0].name) as temporary:
        shutil.copyfile(paths[0], temporary)
    return paths
