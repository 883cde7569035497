"""The command ``zemosaic-twopass``, and the hook that carries the probe into an unmodified program.

In: the command line. Out: lines, files and an exit code. Door: `cli.main`.
"""
