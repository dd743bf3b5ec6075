class WrappersMP:
    OUTER_SAMPLE: str
    SAMPLER_SAMPLE: str
    CALC_COND_BATCH: str
    APPLY_MODEL: str
