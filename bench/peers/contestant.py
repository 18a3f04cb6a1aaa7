"""PyTorch as a contestant:  contestant.py --threads N

The protocol is that of ../protocol.ts: a JSON object a line.
"""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from networks import build, read_safetensors

THREADS = int(sys.argv[sys.argv.index("--threads") + 1])
SHORT_SECONDS = 0.02
IDLE_RATE = 1e-7
torch.set_num_threads(THREADS)


def floats(path, *shape):
    return torch.from_numpy(np.fromfile(path, np.float32)).reshape(shape)


def from_channels_last(path, images, height, width, channels):
    """f32[N, H, W, C] of a file as [N, C, H, W], contiguous."""
    return floats(path, images, height, width, channels).permute(0, 3, 1, 2).contiguous()


def pictures(task):
    size = task["size"]
    raw = torch.from_numpy(np.fromfile(task["pictures"], np.uint8)).reshape(task["images"], size, size, 3)
    return ((raw.permute(0, 3, 1, 2).float() / 255 - task["mean"]) / task["std"]).contiguous()


def in_format(task, thing):
    return thing.to(memory_format=torch.channels_last) if task.get("channelsLast") else thing


def network(task):
    model = build(task["network"], task["classes"])
    model.load_state_dict(read_safetensors(task["weights"]), strict=False)
    return in_format(task, model.eval())


class Matmul:
    def __init__(self, task):
        self.a, self.b = floats(task["a"], task["m"], task["k"]), floats(task["b"], task["k"], task["n"])

    @torch.inference_mode()
    def run(self):
        return self.a @ self.b

    def check(self):
        return {"output": self.run()}, {}


class Convolution:
    def __init__(self, task):
        sizes = [task[key] for key in ("images", "height", "width")]
        self.padding, self.forward = task["padding"], task["pass"] == "forward"
        self.input = from_channels_last(task["input"], *sizes, task["channels"])
        self.d_output = from_channels_last(task["dOutput"], *sizes, task["outChannels"])
        self.weight = floats(task["weight"], task["outChannels"], task["channels"], task["kernel"], task["kernel"])

    @torch.no_grad()
    def run(self):
        if self.forward:
            return F.conv2d(self.input, self.weight, padding=self.padding)
        return torch.nn.grad.conv2d_weight(self.input, self.weight.shape, self.d_output, padding=self.padding)

    def check(self):
        result = self.run()
        return ({"output": result.permute(0, 2, 3, 1)} if self.forward else {"gradient of weight": result}), {}


class Forward:
    def __init__(self, task):
        self.model, self.pictures = network(task), in_format(task, pictures(task))

    @torch.inference_mode()
    def run(self):
        return self.model(self.pictures)

    def check(self):
        return {"output": self.run()}, {}


class Training:
    def __init__(self, task):
        kept, images = task["kept"], task["images"]
        self.model, self.rate = network(task), task["rate"]
        if kept is None:
            self.forward, self.input = self.model, in_format(task, pictures(task))
        else:
            self.forward = self.model.after(kept["layer"])
            shape = kept["shape"]
            if len(shape) == 1:
                self.input = floats(kept["file"], images, *shape)
            else:
                self.input = in_format(task, from_channels_last(kept["file"], images, *shape))
        for name, module in self.model.named_modules():
            if name in task["batchStatistics"]:
                module.train()
        self.parameters = {}
        for name, parameter in self.model.named_parameters():
            trains = name.rsplit(".", 1)[0] in task["trainable"]
            parameter.requires_grad_(trains)
            if trains:
                self.parameters[name] = parameter
        self.labels = torch.arange(images) % task["classes"]
        self.optimiser = torch.optim.SGD(self.parameters.values(), IDLE_RATE, momentum=0.9)

    def gradients(self):
        self.optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.forward(self.input), self.labels)
        loss.backward()
        return loss

    def run(self):
        self.gradients()
        self.optimiser.step()

    def check(self):
        loss = float(self.gradients().detach())
        norm = float(torch.cat([p.grad.reshape(-1) for p in self.parameters.values()]).double().norm())
        self.optimiser.param_groups[0]["lr"] = self.rate
        self.optimiser.step()
        self.optimiser.param_groups[0]["lr"] = IDLE_RATE
        weights = torch.cat([self.parameters[name].detach().reshape(-1) for name in sorted(self.parameters)])
        return {"weights": weights}, {"loss": loss, "gradientNorm": norm}


KINDS = {"matmul": Matmul, "convolution": Convolution, "forward": Forward, "training": Training}
work, last_seconds = None, 0.0


def check(folder):
    arrays, numbers = work.check()
    files = {}
    for name, values in arrays.items():
        files[name] = os.path.join(folder, f"{name}.f32")
        values.contiguous().numpy().astype(np.float32).tofile(files[name])
    return {"arrays": files, "numbers": numbers}


def take_time(seconds):
    global last_seconds
    if last_seconds < SHORT_SECONDS:
        work.run()
    calls, passed, started = 0, 0.0, time.perf_counter()
    while calls == 0 or passed < seconds:
        work.run()
        calls += 1
        passed = time.perf_counter() - started
    last_seconds = passed / calls
    return {"calls": calls, "seconds": passed}


def peak_bytes():
    try:
        for line in open("/proc/self/status"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def answer(request):
    global work, last_seconds
    what = request["do"]
    if what == "load":
        work, last_seconds = KINDS[request["task"]["kind"]](request["task"]), 0.0
        return {}
    if what == "check":
        return check(request["folder"])
    if what == "time":
        return take_time(request["seconds"])
    if what == "unload":
        work = None
        return {}
    return {"peakBytes": peak_bytes()}


def say(value):
    print(json.dumps(value), flush=True)


say({"is": f"PyTorch {torch.__version__}", "details": f"Python {sys.version.split()[0]}, {torch.__config__.show().split('CPU capability usage: ')[-1].splitlines()[0]}"})
for line in sys.stdin:
    try:
        say(answer(json.loads(line)))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})
