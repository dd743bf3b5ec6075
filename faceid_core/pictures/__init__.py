"""Finished pictures as files.

png.py            a picture with what it was made from, never half-written
contact_sheet.py  photos beside results, with their likeness
"""
