"""The model files that can be fetched.

What there is (``manifest``), where they lie (``folders``), what may be done with them (``licences``), whether they are
whole (``check``), and how they get here (``fetch``). Nothing here downloads unless ``fetch`` is called.
"""
