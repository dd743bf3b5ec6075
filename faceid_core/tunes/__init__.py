"""Tunes: identities with a name, kept from one photo until the user deletes them.

tune.py       the values: Tune, TunePhoto, TuneFace
create.py     photos -> tune, and tune -> faces for a face pack
store.py      the store: create, get, find, list, update, delete, purge
blobs.py      photos and embeddings, as files named by their sha256
schema.py     the tables            database.py  the connection, and migrations/
face_file.py  one analysed face <-> bytes
"""
