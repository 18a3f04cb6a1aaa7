"""Opens a model that regraft saved strictly in PyTorch and compares its outputs with golden.safetensors.

    python3 check_saved_model.py FOLDER...

Uses timm where it is installed, else plain definitions with timm's parameter names, written from the papers. Exit 1 when keys, shapes
or outputs differ (outputs by more than 1e-4).
"""
import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

try:
    import timm
except ImportError:
    timm = None


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8}
    return {
        name: torch.from_numpy(np.frombuffer(data[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"]).copy())
        for name, entry in header.items()
    }


class Conv(nn.Conv2d):
    same = False

    def forward(self, x):
        if self.same:
            pads = []
            for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride):
                total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
                pads.append((total // 2, total - total // 2))
            return F.conv2d(F.pad(x, (*pads[1], *pads[0])), self.weight, self.bias, self.stride, 0, 1, self.groups)
        return F.conv2d(x, self.weight, self.bias, self.stride, [(kernel - 1) // 2 for kernel in self.kernel_size], 1, self.groups)


def width(channels, multiplier):
    scaled = channels * multiplier
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class Block(nn.Module):
    """Depthwise separable (expansion 1) or inverted residual, with timm's names."""

    def __init__(self, inputs, outputs, stride, expansion, last_activation, residual, eps):
        super().__init__()
        hidden = inputs * expansion
        self.expansion, self.last_activation = expansion, last_activation
        self.shortcut = residual and stride == 1 and inputs == outputs
        if expansion > 1:
            self.conv_pw, self.bn1 = Conv(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden, eps)
            self.conv_dw, self.bn2 = Conv(hidden, hidden, 3, stride, groups=hidden, bias=False), nn.BatchNorm2d(hidden, eps)
            self.conv_pwl, self.bn3 = Conv(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps)
        else:
            self.conv_dw, self.bn1 = Conv(hidden, hidden, 3, stride, groups=hidden, bias=False), nn.BatchNorm2d(hidden, eps)
            self.conv_pw, self.bn2 = Conv(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps)

    def forward(self, x):
        entry = x
        if self.expansion > 1:
            x = F.relu6(self.bn1(self.conv_pw(x)))
            x = F.relu6(self.bn2(self.conv_dw(x)))
            x = self.bn3(self.conv_pwl(x))
        else:
            x = F.relu6(self.bn1(self.conv_dw(x)))
            x = self.bn2(self.conv_pw(x))
            x = F.relu6(x) if self.last_activation else x
        return x + entry if self.shortcut else x


class MobileNet(nn.Module):
    V1 = [(1, 1, 1, 64), (1, 2, 2, 128), (1, 2, 2, 256), (1, 6, 2, 512), (1, 2, 2, 1024)]
    V2 = [(1, 1, 1, 16), (6, 2, 2, 24), (6, 3, 2, 32), (6, 4, 2, 64), (6, 3, 1, 96), (6, 3, 2, 160), (6, 1, 1, 320)]

    def __init__(self, version, multiplier, classes, eps):
        super().__init__()
        channels = width(32, multiplier)
        self.conv_stem, self.bn1 = Conv(3, channels, 3, 2, bias=False), nn.BatchNorm2d(channels, eps)
        stages = []
        for expansion, repeats, stride, outputs in self.V1 if version == 1 else self.V2:
            blocks = []
            for index in range(repeats):
                blocks.append(Block(channels, width(outputs, multiplier), stride if index == 0 else 1, expansion, version == 1, version == 2, eps))
                channels = width(outputs, multiplier)
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.has_head = version == 2
        if self.has_head:
            head = width(1280, multiplier) if multiplier > 1 else 1280
            self.conv_head, self.bn2 = Conv(channels, head, 1, bias=False), nn.BatchNorm2d(head, eps)
            channels = head
        self.classifier = nn.Linear(channels, classes) if classes else nn.Identity()

    def forward(self, x):
        x = self.blocks(F.relu6(self.bn1(self.conv_stem(x))))
        if self.has_head:
            x = F.relu6(self.bn2(self.conv_head(x)))
        return self.classifier(x.mean((2, 3)))


def build(config):
    name, args, classes = config["architecture"], config.get("model_args", {}), config["num_classes"]
    if timm is not None and timm.is_model(name):
        return timm.create_model(name, num_classes=classes, **args)
    version, multiplier = int(name[len("mobilenetv")]), int(name.split("_")[1]) / 100
    model = MobileNet(version, multiplier, classes, args.get("bn_eps", 1e-5))
    for module in model.modules():
        if isinstance(module, Conv):
            module.same = args.get("pad_type") == "same"
    return model


failed = False
for folder in sys.argv[1:]:
    config = json.load(open(os.path.join(folder, "config.json")))
    model = build(config)
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
