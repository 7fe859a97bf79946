"""Shaping: terms of the reward besides accuracy and format, one a file, each off until `shaping=<name>` adds it.

A term is a plain function of one `Judged` completion. Lengths are counted in tokens.
"""
