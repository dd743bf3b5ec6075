"""The model files that can be downloaded.

The list of files (``manifest``), their folders (``folders``), their licences (``licences``), whether they are complete
(``check``), and their download (``fetch``). Only ``fetch`` downloads.
"""
