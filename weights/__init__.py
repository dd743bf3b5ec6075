"""Data only: ``manifest.toml`` lists every model file, ``embedded`` holds the files that are part of this package."""
