import torch
from torch import nn

class ModelPatcher:
    load_device: torch.device

    def __init__(self, model: nn.Module, load_device: torch.device, offload_device: torch.device) -> None: ...
