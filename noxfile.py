"""The tests in environments of their own: every Python, the oldest dependencies, what a real ZeMosaic imports."""

from configparser import ConfigParser
from pathlib import Path

import nox

# `make test-all`; `public` asks for a ZeMosaic.
nox.options.sessions = ["newest", "oldest"]
nox.options.error_on_missing_interpreters = False
# Not ours to ask for, but matplotlib 3.8 warns of a newer one, and a warning fails the tests.
CONSTRAINTS = ("pyparsing<3.2",)


def oldest_requirements():
    """What setup.cfg asks for where the tests run, at the oldest versions that it allows."""
    config = ConfigParser(interpolation=None)
    config.read(Path(__file__).with_name("setup.cfg"))
    extras = config["options.extras_require"]
    parts = config["options"]["install_requires"], *(extras[name] for name in ("plot", "report", "dask", "test"))
    return [line.replace(">=", "==") for part in parts for line in part.split() if ">=" in line]


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def newest(session):
    """Newest dependencies."""
    session.install("--editable", ".[test]")
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session
def oldest(session):
    """Oldest dependencies that setup.cfg allows, on the Python that nox runs on."""
    session.install("--editable", ".[test]", *oldest_requirements(), *CONSTRAINTS)
    session.run("pytest", "-n", "auto", *session.posargs)


@nox.session(reuse_venv=True)
def public(session):
    """The contract on the ZeMosaic in the folder that the environment variable ZEMOSAIC names: `make test-public`."""
    session.install("--editable", ".[test,public]")
    session.run("pytest", "tests/workers/test_public.py", "-m", "public", "-rs", *session.posargs)
