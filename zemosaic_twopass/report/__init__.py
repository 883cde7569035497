"""The record of a call, and all that shows it: lines, table, FITS, pictures, page, JSON; reports read back.

In: tile records, delta maps and findings. Out: files and lines. Doors: `report.TwoPassReport`, whose `write` makes the
files, `show.show` and `compare.compare`.
"""
