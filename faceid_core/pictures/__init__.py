"""Finished pictures as files.

png.py              a picture and its settings as a PNG file, never half-written
contact_sheet.py    photos next to results, with their likeness
candidates.py       whom photos show when it is not clear who is meant
lettering.py        text of any script on a picture; fonts: the font of wide coverage
similarity_plot.py  every photo compared with every result: a matrix of cosines and verdicts
"""
