"""Fine-tunes the last blocks of a MobileNetV1 with PyTorch by regraft's default schedule, to compare seconds per epoch.

    python3 finetune_mobilenet_v1.py WEIGHTS_FOLDER DATA TRAIN_LIST VAL_LIST [--epochs N] [--threads N] [--workers N] [--seed N]

Needs torch, torchvision and Pillow. WEIGHTS_FOLDER is a timm folder (config.json, model.safetensors). Pictures are decoded anew in each
epoch on both sides; the frozen part is computed in each epoch on both sides. Prints one JSON line per epoch.
"""
import argparse
import json
import math
import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from networks import build, read_safetensors

parser = argparse.ArgumentParser()
parser.add_argument("weights")
parser.add_argument("data")
parser.add_argument("train")
parser.add_argument("val")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--lr", type=float, default=5e-4)
parser.add_argument("--weight-decay", type=float, default=0.01)
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(args.seed)


def frozen(model, x):
    """Stem, the first three stages and the first block of the fourth."""
    with torch.no_grad():
        x = model.stem(x)
        for stage in model.blocks[:3]:
            x = stage(x)
        return model.blocks[3][0](x)


def forward(model, x):
    x = frozen(model, x)
    for block in [*model.blocks[3][1:], *model.blocks[4]]:
        x = block(x)
    return model.head(x)


config = json.load(open(os.path.join(args.weights, "config.json")))
cfg = config["pretrained_cfg"]
size = cfg["input_size"][1]
normalise = transforms.Normalize(cfg["mean"], cfg["std"])
bilinear = transforms.InterpolationMode.BILINEAR
train_transform = transforms.Compose([transforms.RandomResizedCrop(size, (0.5, 1), interpolation=bilinear), transforms.RandomHorizontalFlip(), transforms.ToTensor(), normalise])
val_transform = transforms.Compose([transforms.Resize(math.floor(size / cfg["crop_pct"]), interpolation=bilinear), transforms.CenterCrop(size), transforms.ToTensor(), normalise])


class Pictures(torch.utils.data.Dataset):
    def __init__(self, listing, transform):
        self.files = [line.strip() for line in open(listing) if line.strip()]
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        file = self.files[index]
        return self.transform(Image.open(os.path.join(args.data, file)).convert("RGB")), classes.index(file.split("/")[0])


classes = sorted({line.split("/")[0] for line in open(args.train) if line.strip()})
loader = lambda pictures, shuffle: torch.utils.data.DataLoader(pictures, args.batch_size, shuffle, num_workers=args.workers, persistent_workers=args.workers > 0)
train, val = loader(Pictures(args.train, train_transform), True), loader(Pictures(args.val, val_transform), False)

tensors = read_safetensors(os.path.join(args.weights, "model.safetensors"))
model_args = config.get("model_args", {})
model = build(config["architecture"], len(classes), model_args.get("pad_type", ""), model_args.get("bn_eps", 1e-5))
model.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}, strict=False)
model.eval()  # running statistics everywhere

# The head starts from a fitted one, as regraft's does; how well it is fitted does not change the time.
nn.init.normal_(model.classifier.weight, std=0.01)
nn.init.zeros_(model.classifier.bias)
parameters = [p for block in [*model.blocks[3][1:], *model.blocks[4], model.classifier] for p in block.parameters()]
optimiser = torch.optim.AdamW(parameters, args.lr, weight_decay=args.weight_decay)
total, warmup, step = args.epochs * len(train), len(train), 0
for epoch in range(1, args.epochs + 1):
    started = time.perf_counter()
    for x, y in train:
        rate = (step + 1) / (warmup + 1) if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
        for group in optimiser.param_groups:
            group["lr"] = args.lr * rate
        optimiser.zero_grad()
        F.cross_entropy(forward(model, x), y, label_smoothing=0.1).backward()
        nn.utils.clip_grad_norm_(parameters, 5)
        optimiser.step()
        step += 1
    with torch.inference_mode():
        correct = sum(int((forward(model, x).argmax(1) == y).sum()) for x, y in val)
    print(json.dumps({"epoch": epoch, "val_accuracy": correct / len(val.dataset), "seconds": round(time.perf_counter() - started, 2)}), flush=True)
