"""The command ``verify``: does the probe change a byte of this worker's mosaic, and does it see all that it should?"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from dataclasses import asdict, dataclass

import numpy as np

from zemosaic_instrument import TwoPassProbe

from ..console import say
from ..offline.workers import fingerprint, run_second_pass
from ..settings import LOGGER_NAME
from ..synthetic.sky import synthetic_tiles
from ..watch.hooks import SECOND_PASS, may_lack, since_of, sort_shown
from .passes import SEED, choose_workers, load_tiles, make_first_pass


@dataclass(frozen=True)
class Sight:
    """What was seen of a worker's second pass while it ran; the words are those of `watch.hooks.SHOWN_BY`.

    Attributes
    ----------
    since : str
        Date of the worker's signature; "-" for one that is not known.
    sees : tuple of str
        What was seen of every tile.
    missing : tuple of str
        What was not, though every version with that signature shows it.
    not_yet : tuple of str
        What was not, and some of the versions with that signature do not show it.
    tiles : int
    gains, observed : int
        Tiles whose gain was recorded; tiles that were seen in all channels as they went into the coadd.
    reference : {"first_pass", "tiles"} or None
        What the delta map was held against; None where there is none.
    """

    since: str
    sees: tuple[str, ...]
    missing: tuple[str, ...]
    not_yet: tuple[str, ...]
    tiles: int
    gains: int
    observed: int
    reference: str | None

    @classmethod
    def of(cls, report, count, since):
        """From the report of a pass over `count` tiles, None where there is none, by a worker of that signature."""
        records = () if report is None else report.tiles
        gains = sum(math.isfinite(record.gain) for record in records)
        observed = sum(record.post_source == "observed" for record in records)
        reference = None if report is None or report.delta is None else report.delta.reference
        seen = {"gains": gains == count, "corrected_tiles": observed == count, "first_pass": reference == "first_pass"}
        sees, unseen = sort_shown({word for word, whole in seen.items() if whole})
        missing = tuple(word for word in unseen if word not in may_lack(since))
        not_yet = tuple(word for word in unseen if word in may_lack(since))
        return cls(since, sees, missing, not_yet, count, gains, observed, reference)

    def lines(self):
        """Log lines, a fact each."""
        words = (f"{name}={','.join(getattr(self, name)) or '-'}" for name in ("sees", "missing", "not_yet"))
        facts = (
            f"since={self.since}",
            " ".join(words),
            f"gains={self.gains}/{self.tiles}",
            f"observed={self.observed}/{self.tiles}",
            f"reference={self.reference or '-'}",
        )
        return tuple(f"[TwoPassVerify] {fact}" for fact in facts)


def verify_command(options):
    """Run a worker's second pass bare twice and watched once, and say what was the same and what was seen.

    0 if the bytes are identical and nothing is missing that this version of the worker is known to show, else 1.
    """
    ours, worker = choose_workers(options.worker)
    tiles = load_tiles(options.tiles) if options.tiles else synthetic_tiles(seed=options.seed)
    logger = logging.getLogger(LOGGER_NAME)
    np.random.seed(SEED)
    first = make_first_pass(ours, tiles, 1)

    def hash_run():
        np.random.seed(SEED)
        return fingerprint(
            *run_second_pass(worker, first, tiles, sigma=options.sigma, clip=options.clip, logger=logger)
        )

    hashes = {"bare_1": hash_run(), "bare_2": hash_run()}
    # Tiles are looked at only for a logger at DEBUG, which the command's console makes of it.
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with folder as scratch, TwoPassProbe(worker, directory=scratch) as probe:
        hashes["instrumented"] = hash_run()
    report = probe.reports[-1] if probe.reports else None
    sight = Sight.of(report, len(tiles), since_of(getattr(worker, SECOND_PASS)))
    verdict, meaning = _judge(hashes, probe, sight)
    if options.json:
        diagnosis = report and {"verdict": report.verdict, "findings": len(report.findings), "summary": report.summary}
        print(json.dumps({"verdict": verdict, "sha256": hashes, **asdict(sight), "diagnosis": diagnosis}))
    else:
        for run, digest in hashes.items():
            say(f"[TwoPassVerify] run={run} sha256={digest}")
        for line in sight.lines():
            say(line)
        if report is not None:
            say(report.verdict_line())
        say(f"[TwoPassVerify] {verdict} {meaning}")
    return int(verdict != "identical" or bool(sight.missing))


def _judge(hashes, probe, sight):
    """(verdict, one sentence on what it means and what to do)."""
    if hashes["bare_1"] != hashes["bare_2"]:
        return "undetermined", "The two bare runs differ by themselves, so nothing can be said of the third."
    if hashes["instrumented"] != hashes["bare_1"]:
        return "different", "The probe changed the mosaic: please report this."
    if probe.failures or not probe.reports:
        reason = next(iter(probe.failures), "its second pass was not called")
        return "undetermined", f"The probe saw nothing: {reason}."
    same = "The probe changed no byte of mosaic and coverage"
    if sight.missing:
        what = " and ".join(sight.missing)
        return "identical", f"{same}, but missed {what}, which older workers show: please report this worker's version."
    return "identical", f"{same}."
