"""MobileNetV1, MobileNetV2 and ResNet in plain PyTorch with timm's parameter names, written from the papers, and a reader of
safetensors."""
import json
import math
import struct

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


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
    """`same`: TensorFlow's padding, the odd row or column at the bottom and right."""

    same = False

    def forward(self, x):
        if not self.same:
            return super().forward(x)
        pads = []
        for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride):
            total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
            pads.append((total // 2, total - total // 2))
        return F.conv2d(F.pad(x, (*pads[1], *pads[0])), self.weight, self.bias, self.stride, 0, 1, self.groups)


def conv(inputs, outputs, kernel, stride=1, groups=1):
    return Conv(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)


def relu6(x):
    return F.relu6(x, inplace=True)


def width(channels, multiplier):
    scaled = channels * multiplier
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class MobileBlock(nn.Module):
    """Depthwise separable (expansion 1) or inverted residual."""

    def __init__(self, inputs, outputs, stride, expansion, last_activation, residual, eps):
        super().__init__()
        hidden = inputs * expansion
        self.expansion, self.last_activation = expansion, last_activation
        self.shortcut = residual and stride == 1 and inputs == outputs
        if expansion > 1:
            self.conv_pw, self.bn1 = conv(inputs, hidden, 1), nn.BatchNorm2d(hidden, eps)
            self.conv_dw, self.bn2 = conv(hidden, hidden, 3, stride, hidden), nn.BatchNorm2d(hidden, eps)
            self.conv_pwl, self.bn3 = conv(hidden, outputs, 1), nn.BatchNorm2d(outputs, eps)
        else:
            self.conv_dw, self.bn1 = conv(hidden, hidden, 3, stride, hidden), nn.BatchNorm2d(hidden, eps)
            self.conv_pw, self.bn2 = conv(hidden, outputs, 1), nn.BatchNorm2d(outputs, eps)

    def forward(self, x):
        entry = x
        if self.expansion > 1:
            x = relu6(self.bn1(self.conv_pw(x)))
            x = relu6(self.bn2(self.conv_dw(x)))
            x = self.bn3(self.conv_pwl(x))
        else:
            x = relu6(self.bn1(self.conv_dw(x)))
            x = self.bn2(self.conv_pw(x))
            x = relu6(x) if self.last_activation else x
        return x + entry if self.shortcut else x


class MobileNet(nn.Module):
    V1 = [(1, 1, 1, 64), (1, 2, 2, 128), (1, 2, 2, 256), (1, 6, 2, 512), (1, 2, 2, 1024)]
    V2 = [(1, 1, 1, 16), (6, 2, 2, 24), (6, 3, 2, 32), (6, 4, 2, 64), (6, 3, 1, 96), (6, 3, 2, 160), (6, 1, 1, 320)]

    def __init__(self, version, multiplier, classes, eps):
        super().__init__()
        channels = width(32, multiplier)
        self.conv_stem, self.bn1 = conv(3, channels, 3, 2), nn.BatchNorm2d(channels, eps)
        stages = []
        for expansion, repeats, stride, outputs in self.V1 if version == 1 else self.V2:
            blocks = []
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(MobileBlock(channels, width(outputs, multiplier), first, expansion, version == 1, version == 2, eps))
                channels = width(outputs, multiplier)
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.has_head = version == 2
        if self.has_head:
            head = width(1280, multiplier) if multiplier > 1 else 1280
            self.conv_head, self.bn2 = conv(channels, head, 1), nn.BatchNorm2d(head, eps)
            channels = head
        self.classifier = nn.Linear(channels, classes) if classes else nn.Identity()

    def stem(self, x):
        return relu6(self.bn1(self.conv_stem(x)))

    def head(self, x):
        if self.has_head:
            x = relu6(self.bn2(self.conv_head(x)))
        return self.classifier(x.mean((2, 3)))

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))

    def after(self, layer):
        """The part of the network after a layer, as a function: after the feature vector, or after the last layer of a block."""
        if layer == "global_pool":
            return self.classifier
        blocks = [(f"blocks.{s}.{b}", block) for s, stage in enumerate(self.blocks) for b, block in enumerate(stage)]
        names = [name for name, _ in blocks]
        rest = [block for _, block in blocks[names.index(layer.rsplit(".", 1)[0]) + 1 :]]

        def forward(x):
            for block in rest:
                x = block(x)
            return self.head(x)

        return forward


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, eps):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs, eps)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs, eps)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs, eps))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.bn2(self.conv2(x))
        x += shortcut
        return F.relu(x, inplace=True)


class ResNet(nn.Module):
    def __init__(self, repeats, classes, eps):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64, eps)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for stage, count in enumerate(repeats):
            outputs, blocks = 64 * 2**stage, []
            for index in range(count):
                blocks.append(BasicBlock(channels, outputs, 2 if index == 0 and stage > 0 else 1, eps))
                channels = outputs
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, classes) if classes else nn.Identity()

    def forward(self, x):
        x = self.maxpool(F.relu(self.bn1(self.conv1(x)), inplace=True))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def build(name, classes, pad_type="", bn_eps=1e-5):
    """A network by timm's name: mobilenetv1_NNN, mobilenetv2_NNN, resnet18 or resnet34."""
    if name in ("resnet18", "resnet34"):
        model = ResNet([2, 2, 2, 2] if name == "resnet18" else [3, 4, 6, 3], classes, bn_eps)
    else:
        model = MobileNet(int(name[len("mobilenetv")]), int(name.split("_")[1]) / 100, classes, bn_eps)
    for module in model.modules():
        if isinstance(module, Conv):
            module.same = pad_type == "same"
    return model
