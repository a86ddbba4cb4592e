"""The compiled part: Black's formula and its inverse over contiguous arrays of one length.

`elementary` has the functions that the hardware lacks, `constants` the fitted numbers, `fast` the usual row in stages
that run as vector instructions, `careful` every other row by a safeguarded search, `entry` the doors to both.
"""
