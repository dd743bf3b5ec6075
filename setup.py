"""Says which folders are packages, which pyproject.toml has no way to find for a package "."; all else stands there."""

from setuptools import find_packages, setup

setup(
    script_name="setup.py",  # so that setuptools knows this file, whoever runs it, and leaves it out of the wheel
    packages=["faceid_tunes", *(f"faceid_tunes.{name}" for name in find_packages())],
)
