class WrappersMP:
    OUTER_SAMPLE: str
    PREPARE_SAMPLING: str
    SAMPLER_SAMPLE: str
    CALC_COND_BATCH: str
    APPLY_MODEL: str
