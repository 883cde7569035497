"""Put on a program's import path by ``zemosaic-twopass exec``, and by that on its children's.

Python runs it at the start of every interpreter, so it must be light and may never be in the way: nothing of ours is
imported before the program itself imports a worker.
"""

import importlib.machinery
import importlib.util
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_the_one_that_is_shadowed():
    """Run the `sitecustomize` that would have run without us, under its own name."""
    others = [path for path in sys.path if os.path.abspath(path) != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _attach(module):
    try:
        from zemosaic_twopass.command.attaching import attach_to

        attach_to(module)
    except Exception as error:
        print(f"zemosaic-twopass: {module.__name__} is not watched: {error}", file=sys.stderr)


def _wait_for_a_worker():
    # Run from a checkout, the package is found only where it lies; last, so it shadows nothing.
    home = os.path.dirname(os.path.dirname(os.path.dirname(_HERE)))
    if importlib.util.find_spec("zemosaic_instrument") is None:
        sys.path.append(home)
    try:
        import wrapt
    except ImportError as error:
        print(f"zemosaic-twopass: no worker is watched: {error}", file=sys.stderr)
        return
    for name in ("zemosaic_worker", "zemosaic.zemosaic_worker"):
        wrapt.register_post_import_hook(_attach, name)


_wait_for_a_worker()
_run_the_one_that_is_shadowed()
