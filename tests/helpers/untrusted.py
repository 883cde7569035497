"""Running the command on input from strangers, and damaging files."""

import warnings

from zemosaic_twopass.command import cli

EVIL = "\x1b[2J\x9b31m\u202e\x07"


def ran(capsys, *argv, codes=(0, 2)):
    """Run the command: one of the exit codes, one line on standard error or none, no warning, no control characters."""
    capsys.readouterr()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        code = cli.main([str(argument) for argument in argv])
    out, err = capsys.readouterr()
    assert code in codes, err
    assert not said, [str(entry.message) for entry in said]
    assert len(err.splitlines()) == (code == 2), err
    assert not err or err.startswith("zemosaic-twopass: error: ")
    assert len(err) < 1000
    assert all(character.isprintable() or character == "\n" for character in out + err)
    return code, out, err


def damaged(content, rng):
    """A copy that is cut short, or has a few bits or bytes wrong, or a piece taken out or doubled."""
    kind = rng.integers(5)
    start, stop = sorted(int(n) for n in rng.integers(0, len(content), 2))
    if kind == 0:
        return content[:start]
    if kind == 1:
        return content[:start] + content[min(stop, start + 200) :]
    if kind == 2:
        return content[:stop] + content[max(start, stop - 200) :]
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 6)):
        changed[place] = changed[place] ^ (1 << int(rng.integers(8))) if kind == 3 else int(rng.integers(32, 127))
    return bytes(changed)


def refused(capsys, argv, *words):
    code, out, err = ran(capsys, *argv, codes=(2,))
    for word in words:
        assert str(word) in err
    return err
