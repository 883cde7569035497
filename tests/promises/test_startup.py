"""What `import zemosaic_instrument` costs with the switch off, told by what it imports."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import zemosaic_instrument
import zemosaic_twopass

ROOT = Path(__file__).resolve().parents[2]
# What a worker imports itself, and so costs nothing.
WORKERS_OWN = "import numpy, astropy.wcs, reproject, reproject.mosaicking;"
HEAVY = ("distributed", "matplotlib", "scipy.sparse.linalg", "scipy.interpolate", "scipy.optimize", "scipy.stats")


def fresh(program, **environment):
    """Run a program in an interpreter of its own, with this checkout on its path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ZEMOSAIC_TWO_PASS_DEBUG": "", **environment}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


BEFORE = WORKERS_OWN + "import sys; before = set(sys.modules);"
LISTING = f"print([name for name in {HEAVY!r} if name in sys.modules and name not in before])"


def test_nothing_heavy_is_imported_with_the_switch_off():
    assert fresh(BEFORE + "import zemosaic_instrument;" + LISTING) == "[]"
    decorated = "zemosaic_instrument.two_pass_diagnostics(lambda: None)"
    assert fresh(BEFORE + f"import zemosaic_instrument; {decorated};" + LISTING) == "[]"


def test_the_statistics_alone_need_neither_wrapt_nor_astropy():
    program = "from zemosaic_twopass import tile_statistics; tile_statistics([[1.0]]); import sys;"
    assert fresh(program + "print([name for name in ('wrapt', 'astropy', 'scipy') if name in sys.modules])") == "[]"


@pytest.mark.parametrize("module", [zemosaic_instrument, zemosaic_twopass])
def test_public_names_are_there_and_no_others(module):
    for name in module.__all__:
        value = getattr(module, name)
        assert name in dir(module)
        assert pickle.loads(pickle.dumps(value)) is value
        assert value.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        module.nothing  # noqa: B018
    star = {}
    exec(f"from {module.__name__} import *", star)
    assert set(module.__all__) <= set(star)


def test_classes_are_the_same_from_everywhere():
    from zemosaic_instrument import DeltaMap, TwoPassProbe
    from zemosaic_twopass.measure.delta import DeltaMap as its_own

    assert DeltaMap is zemosaic_instrument.DeltaMap is zemosaic_twopass.DeltaMap is its_own
    assert isinstance(TwoPassProbe(zemosaic_instrument), zemosaic_instrument.TwoPassProbe)
