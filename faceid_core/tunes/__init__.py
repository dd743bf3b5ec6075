"""Tunes: identities with a name, kept from one photo until the user deletes them.

tune.py       the values: Tune, TunePhoto, TuneFace
create.py     photos -> tune                  edit.py       photos added, left out, chosen again
faces.py      tune -> faces for a face pack   analysis.py   photos -> what a face pack finds in them
store.py      the store: create, get, find, list, update, delete, purge
queries.py    its questions   rows.py  tunes <-> rows   readable.py  the rows beside a damaged one
              needed_files.py  which files the rows need
blobs.py      photos and embeddings, as files named by their sha256      file_owners.py  of which database
schema.py     the tables    columns.py  what they may hold    database.py  the connection, and migrations/
refs.py       a name or a number -> tune      same_photos.py  photos -> the tune that has them
transfer.py   a tune <-> one checked file     check.py, purge.py  what is wrong, what nothing needs
face_file.py  one analysed face <-> bytes
"""
