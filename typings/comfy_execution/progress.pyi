from comfy_execution.graph import DynamicPrompt

class ProgressRegistry:
    dynprompt: DynamicPrompt

def get_progress_state() -> ProgressRegistry: ...
