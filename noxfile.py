"""The tests on every Python and with the oldest dependencies, each in an environment of its own: `make test-all`."""

from configparser import ConfigParser
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = False
# Not ours to ask for, but matplotlib 3.8 warns of a newer one, and a warning fails the tests.
CONSTRAINTS = ("pyparsing<3.2",)


def oldest_requirements():
    """Everything that setup.cfg asks for, at the oldest version that it allows."""
    config = ConfigParser(interpolation=None)
    config.read(Path(__file__).with_name("setup.cfg"))
    lines = config["options"]["install_requires"], *config["options.extras_require"].values()
    return [line.replace(">=", "==") for part in lines for line in part.split() if ">=" in line]


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
