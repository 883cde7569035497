"""Numbers of robust statistics, each of the normal distribution: where they come from is said once, here."""

# A standard deviation in units of the median of what is away from the middle: 1 / Φ⁻¹(¾).
GAUSSIAN_MAD = 1.4826
# Standard error of a median in units of that of a mean: √(π/2).
MEDIAN_COST = 1.2533
# Median of the square of a normal variable, χ² of one degree of freedom.
MEDIAN_SQUARE = 0.4549
# Two standard deviations of the median of n such squares, in units of it, times √n: 1 / (m f(m)) with the density f.
SQUARE_CHANCE = 4.7
# From so many standard deviations on what is left counts less: 95 % efficient where all is normal (Huber 1981).
HUBER = 1.345
