"""Finished pictures as files.

png.py              a picture with what it was made from, never half-written
contact_sheet.py    photos beside results, with their likeness
similarity_plot.py  every photo against every result: a matrix of cosines and verdicts
"""
