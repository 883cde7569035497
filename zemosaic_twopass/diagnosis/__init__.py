"""What is wrong with a second pass, in which tile, by how much, and how sure that is.

In: a `SecondPass`. Out: findings, worst first, and the verdict that they add up to. Door: `diagnose`; for the rooms
above `examine`, `examination` with what findings add up to, `finding` with the vocabulary, and the doors of the rooms
inside, which are their packages.
"""


def diagnose(second_pass):
    """Find what went wrong in a second pass.

    First the contract (were the recorded gains applied to the bit, are they sound, are the inputs as they
    were), then the closure of the mosaic on the tiles, then every tile as given against the others, then the
    steps that the gains made.

    Parameters
    ----------
    second_pass : SecondPass
        As far as it was seen. Its `combine` must be "mean" for the closure; None, where the coadd was not seen, is
        taken for it as long as the mosaic closes.

    Returns
    -------
    tuple of Finding
        Worst first, notes last. What was not seen, and input that cannot be tested, gives `undetermined` with the
        reason, never an exception.
    """
    # Here and not above: the fits bring scipy's solvers, and whoever only watches must start quickly.
    from .examine import examine_pass

    return examine_pass(second_pass).findings
