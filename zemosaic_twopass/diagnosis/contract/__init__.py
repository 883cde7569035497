"""What went into a second pass and what came out of its coadd, bit for bit."""
