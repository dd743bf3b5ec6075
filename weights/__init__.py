"""Data only: ``manifest.toml`` lists every model file, ``embedded`` holds those that come along."""
