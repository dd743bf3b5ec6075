"""Model files: the one reader of them, and the one table of what they can be. No room opens a model file by itself.

impostor.py     first bytes             -> what was saved in place of a model or a photo
containers.py   first bytes             -> safetensors, PyTorch zip or PyTorch pickle
torch_scan.py   a PyTorch file          -> its keys and shapes, without running or loading anything of it
onnx_header.py  an ONNX file            -> what it takes and gives
reasons.py      why a file is unreadable (a closed list), and a room's way to say it
kinds.py        what a readable file can be, in words
tells.py        keys and shapes         -> its kind         (one table)
model_file.py   a path                  -> ModelFile        (start here)

A room makes a ``Reader`` of its own error class and says what it wants: ``adapter/model.py``.
"""
