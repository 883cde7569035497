"""The command ``zemosaic-twopass``, and the hook that carries the probe into an unmodified program.

In: the command line. Out: lines, files and an exit code. Door: `cli.main`.

A command (`…_command`) takes the options as `options.read_options` gives them, and returns its exit code; for input
that cannot be used it raises TileError, OSError or ValueError.
"""
