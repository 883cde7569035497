"""Do the tests notice when the code is changed? Cosmic Ray, on a copy of the project: `make mutants`.

Run: python tests/mutants.py [--sample N] [--list] [MODULE ...]

Each mutant is one small change; one that no test turns red for is printed, to be read by somebody.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parents[1]
# Each module with the tests that are to hold it, the quickest first.
MODULES = {
    "zemosaic_instrument.py": ("instrument", "attach", "startup", "versions"),
    "zemosaic_twopass/watch/run.py": ("instrument", "attach", "capture", "broken_calls", "references"),
    "zemosaic_twopass/watch/capture.py": ("capture", "instrument", "contract", "references"),
    "zemosaic_twopass/measure/stats.py": ("stats", "stats_after_gain"),
    "zemosaic_twopass/measure/scan.py": ("stats", "stats_after_gain"),
    "zemosaic_twopass/tiles/blocks.py": ("blocks", "delta"),
    "zemosaic_twopass/tiles/grid.py": ("grid", "delta"),
    "zemosaic_twopass/measure/delta.py": ("delta",),
    "zemosaic_twopass/diagnosis/contract/checks.py": ("checks",),
    "zemosaic_twopass/phase5/coadd.py": ("coadd",),
    "zemosaic_twopass/diagnosis/closure/solve.py": ("closure",),
    "zemosaic_twopass/measure/sampling.py": ("sampling", "closure"),
    "zemosaic_twopass/measure/coarse.py": ("coarse", "survey", "diagnosis"),
    "zemosaic_twopass/diagnosis/photometry/solution.py": ("joint", "survey", "diagnosis"),
    "zemosaic_twopass/diagnosis/photometry/classify.py": ("diagnosis",),
}
_CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = 300.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="default: all that are listed")
    parser.add_argument(
        "--sample", type=int, metavar="N", help="only N mutants of each module, drawn with a fixed seed"
    )
    parser.add_argument("--list", action="store_true", help="say which modules there are")
    options = parser.parse_args()
    if options.list:
        print(*MODULES, sep="\n")
        return
    total, killed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        # A copy: the mutants are written into the files.
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info"))
        for module in options.modules or MODULES:
            results = list(mutate(copy, module, options.sample))
            survivors = [diff for dead, diff in results if not dead]
            print(f"\n## {module}: {len(results) - len(survivors)} of {len(results)} mutants noticed", flush=True)
            for diff in survivors:
                print("\n".join(line for line in diff.splitlines() if line[:1] in "-+@"), end="\n\n", flush=True)
            total, killed = total + len(results), killed + len(results) - len(survivors)
    print(f"\nscore: {killed} of {total} = {killed / max(total, 1):.1%}")


def mutate(copy, module, sample):
    """Yield (whether a test noticed, diff) of each mutant of a module."""
    found = [path for name in MODULES[module] for path in (ROOT / "tests").rglob(f"test_{name}.py")]
    files = [str(path.relative_to(ROOT)) for path in found]
    config = copy / "mutants.toml"
    config.write_text(_CONFIG.format(module=module, python=sys.executable, tests=" ".join(files)))
    session = copy / "mutants.sqlite"
    session.unlink(missing_ok=True)
    cosmic_ray("init", config, session, cwd=copy)
    with use_db(str(session), WorkDB.Mode.open) as database:
        jobs = [item.job_id for item in sorted(database.pending_work_items, key=_place)]
        keep = set(jobs if sample is None else random.Random(1).sample(jobs, min(sample, len(jobs))))
        database.set_multiple_results([job for job in jobs if job not in keep], WorkResult(WorkerOutcome.SKIPPED))
    cosmic_ray("exec", config, session, cwd=copy)
    with use_db(str(session), WorkDB.Mode.open) as database:
        for _, result in database.completed_work_items:
            if result.worker_outcome is not WorkerOutcome.SKIPPED:
                yield result.test_outcome is not TestOutcome.SURVIVED, result.diff or ""


def _place(item):
    """An order of mutants that is the same in every session."""
    return [(m.operator_name, m.start_pos, m.occurrence, str(m.operator_args)) for m in item.mutations]


def cosmic_ray(*arguments, cwd):
    """Run a command of Cosmic Ray on the copy."""
    command = [sys.executable, "-m", "cosmic_ray.cli", *map(str, arguments)]
    subprocess.run(command, cwd=cwd, check=True, env={**os.environ, "PYTHONPATH": str(cwd)})


if __name__ == "__main__":
    main()
