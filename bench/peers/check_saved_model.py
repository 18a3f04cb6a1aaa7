"""Opens a model that regraft saved strictly in PyTorch and compares its outputs with golden.safetensors.

    python3 check_saved_model.py FOLDER...

Uses timm where it is installed, else the definitions of networks.py. Exit 1 when keys, shapes or outputs differ (outputs by more than
1e-4).
"""
import json
import os
import sys

import torch

from networks import build, read_safetensors

try:
    import timm
except ImportError:
    timm = None


def network(config):
    name, args, classes = config["architecture"], config.get("model_args", {}), config["num_classes"]
    if timm is not None and timm.is_model(name):
        return timm.create_model(name, num_classes=classes, **args)
    return build(name, classes, args.get("pad_type", ""), args.get("bn_eps", 1e-5))


failed = False
for folder in sys.argv[1:]:
    config = json.load(open(os.path.join(folder, "config.json")))
    model = network(config)
    model.load_state_dict(read_safetensors(os.path.join(folder, "model.safetensors")), strict=True)
    model.eval()
    golden = read_safetensors(os.path.join(folder, "golden.safetensors"))
    cfg = config["pretrained_cfg"]
    mean, std = (torch.tensor(cfg[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        outputs = model((golden["pictures"].permute(0, 3, 1, 2).float() / 255 - mean) / std)
    worst = float((outputs - golden["outputs"]).abs().max())
    print(f"{folder}: strict load in {'timm ' + timm.__version__ if timm else 'plain PyTorch ' + torch.__version__}, outputs differ by at most {worst:.1e}")
    failed |= not worst <= 1e-4
sys.exit(1 if failed else 0)
