"""Time of an iteration of each method against its authors' code: equal net, batch, images, loss.

    git clone https://github.com/VICO-UoE/DatasetCondensation dc
    git clone https://github.com/GeorgeCazenavette/mtt-distillation mtt
    git clone https://github.com/snu-mllab/Efficient-Dataset-Condensation idc
    python benchmarks/distillation/reference.py --dc dc --mtt mtt --idc idc  # some minutes
    python benchmarks/distillation/reference.py --dc dc --mtt mtt --idc idc --quick  # no file
    (--resume goes on after a run that was cut off)

Their scripts run as they are, each in a process of its own, on the same Fashion-MNIST images; an
iteration is what lies between two of their calls for a new net. Only their data set, the net's
width and the loops of DSA are replaced. What they import for data, pictures and logs is an empty
module; where they say "cuda" they get the CPU, and what torch and numpy refuse by now is done by a
copy. One thread each, turns taken. Both losses are asked about the same weights and images,
without augmentation.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from sudare.audits.environment import made_by
from sudare.core.progress import Silent
from sudare.data.images import ImageDataset
from sudare.nets import NetConfig, build
from sudare.nets.normalisation import normalise
from sudare.routes.context import FolderStages
from sudare.routes.distillation.common import Learning, start_images
from sudare.routes.distillation.config import DmConfig, DsaConfig, IdcConfig, MttConfig
from sudare.routes.distillation.dm import distil_dm, mean_distance
from sudare.routes.distillation.dsa import distil_dsa, gradient_distance
from sudare.routes.distillation.idc import conv_distance, distil_idc
from sudare.routes.distillation.mtt import FlatNet, distil_mtt, trajectory_gradients
from sudare.training.dsa import operations_of

HERE = Path(__file__).parent
RESULTS = HERE / "reference.json"
WIDTH, BATCH, IMAGES = 32, 64, 2000
STRATEGY = "color_crop_cutout_flip_scale_rotate"
EXPERTS = {"experts": 1, "expert_epochs": 3, "span": 2, "latest_start": 1}


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        method: dm, dsa, mtt or idc.
        per_class: Learned images a class.
        outer: Matching steps a net; student steps of MTT.
        inner: Epochs on the learned images between matching steps of DSA.
        iterations: How many are timed.
    """

    method: str
    per_class: int
    outer: int = 1
    inner: int = 1
    iterations: int = 12


CASES = {
    "dm 1": Case("dm", 1),
    "dm 10": Case("dm", 10),
    "dsa 1": Case("dsa", 1),
    "dsa 10": Case("dsa", 10, outer=2, inner=5, iterations=5),
    "mtt 1": Case("mtt", 1, outer=20),
    "mtt 10": Case("mtt", 10, outer=20, iterations=5),
    "idc 1": Case("idc", 1, outer=2, iterations=5),
}
METHODS = {"dm": "dc", "dsa": "dc", "mtt": "mtt", "idc": "idc"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in dict.fromkeys(METHODS.values()):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are written")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "CASE", "ITERATIONS"))
    options = parser.parse_args()
    checkouts = {name: getattr(options, name).resolve() for name in METHODS.values()}
    if options.child:
        torch.set_num_threads(1)
        work, name, iterations = options.child
        case = CASES[name]
        sys.path.insert(0, str(checkouts[METHODS[case.method]]))
        run = {"theirs": run_theirs, "ours": run_ours, "losses": losses}[work]
        print(json.dumps(run(case, int(iterations), checkouts[METHODS[case.method]])))
        return
    kept = json.loads(RESULTS.read_text())["rows"] if options.resume else {}
    rows = timed(checkouts, kept, 1 if options.quick else options.repeats, quick=options.quick)
    asked = {method: child(checkouts, "losses", f"{method} 1", 0) for method in METHODS}
    print(json.dumps(asked))
    for method, (mine, their) in asked.items():
        if abs(mine - their) > 1e-4 * abs(their):
            raise SystemExit(f"{method}: the losses {mine} and {their} differ")
    result = {
        "rows": rows,
        "losses": asked,
        "theirs": {name: commit_of(path) for name, path in checkouts.items()},
        "repeats": options.repeats,
        **made_by("python benchmarks/distillation/reference.py --dc DIR --mtt DIR --idc DIR", HERE),
    }
    if not options.quick:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        (HERE / "REFERENCE.md").write_text(page(result))


def timed(
    checkouts: dict[str, Path], kept: dict[str, dict], repeats: int, *, quick: bool
) -> dict[str, dict]:
    """Seconds of an iteration of each case that is not among those kept."""
    rows = dict(kept)
    for name, case in CASES.items():
        if name in rows:
            continue
        count = 3 if quick else case.iterations
        times: dict[str, list[float]] = {"theirs": [], "ours": []}
        for _ in range(repeats):
            for side, found in times.items():
                found.append(float(np.median(child(checkouts, side, name, count))))
        mine, their = (float(np.median(times[side])) for side in ("ours", "theirs"))
        rows[name] = {"theirs_s": their, "ours_s": mine, "ratio": their / mine}
        print(name, rows[name], flush=True)
        if not quick:
            RESULTS.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return rows


def commit_of(path: Path) -> str:
    asked = ["git", "-C", str(path), "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


def child(checkouts: dict[str, Path], work: str, case: str, iterations: int) -> list[float]:
    """What a fresh process of one thread says."""
    given = [part for name, path in checkouts.items() for part in (f"--{name}", str(path))]
    done = subprocess.run(
        [sys.executable, __file__, *given, "--child", work, case, str(iterations)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{work} of {case} failed:\n{done.stderr[-3000:]}")
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def data() -> ImageDataset:
    from sudare.data.sources import load_source

    source = load_source("fashion-mnist").train
    return source[np.random.default_rng(0).permutation(len(source))[:IMAGES]]


class Timed(Learning):
    """A clock at each new net."""

    calls: ClassVar[list[float]] = []

    def random_net(self, *parts: str | int) -> torch.nn.Module:
        self.calls.append(time.perf_counter())
        return super().random_net(*parts)


class TimedSteps(Learning):
    """A clock at each step, for MTT, which trains one net again and again."""

    calls: ClassVar[list[float]] = []

    def generator(self, *parts: str | int) -> torch.Generator:
        if parts[0] == "step":
            self.calls.append(time.perf_counter())
        return super().generator(*parts)


def learning(case: Case, folder: Path) -> Timed | TimedSteps:
    """What our methods learn from."""
    images, factor = data(), 2 if case.method == "idc" else 1
    kind = TimedSteps if case.method == "mtt" else Timed
    return kind(
        images=normalise(torch.from_numpy(np.array(images.images))),
        labels=torch.from_numpy(np.array(images.classes)),
        classes=10,
        images_per_class=case.per_class,
        start=start_images(
            images, case.per_class, init="real", factor=factor, seed=0, device="cpu"
        ),
        operations=operations_of(flips=True),
        net=NetConfig(name="convnet", width=WIDTH),
        seed=0,
        stages=FolderStages(folder),
        progress=Silent(),
    )


def run_ours(case: Case, iterations: int, _: Path) -> list[float]:
    """What a worker's build does."""
    from sudare.core.memory import keep_memory
    from sudare.fleets.builds import make_deterministic

    keep_memory()
    make_deterministic()
    steps = iterations + 2
    with tempfile.TemporaryDirectory() as folder:
        given = learning(case, Path(folder))
        match case.method:
            case "dm":
                distil_dm(given, DmConfig(iterations=steps, batch_real=BATCH))
            case "dsa":
                loops = {"outer": case.outer, "inner": case.inner}
                distil_dsa(given, DsaConfig(iterations=steps, batch_real=BATCH, **loops))
            case "mtt":
                config = MttConfig(iterations=steps, inner_steps=case.outer, **EXPERTS)
                distil_mtt(given, config)
            case "idc":
                distil_idc(given, IdcConfig(iterations=steps, inner=case.outer, batch_real=BATCH))
    # The first iteration also warms up.
    return np.diff(given.calls)[1:].tolist()


class EnoughError(Exception):
    """Their script has run for long enough."""


class AsThen(TorchFunctionMode):
    """The torch their scripts were written for, on a CPU.

    Where a script names CUDA it gets the CPU; and what torch took then and refuses now (writing a
    part of a tensor over the whole of it, a view of images whose channels lie last) is done by a
    copy.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.__setitem__ and isinstance(args[2], torch.Tensor):
            args = (*args[:2], args[2].clone())
        if func is torch.Tensor.view and not args[0].is_contiguous():
            func = torch.Tensor.reshape
        given = {k: "cpu" if k == "device" else v for k, v in (kwargs or {}).items()}
        return func(*("cpu" if isinstance(a, str) and a == "cuda" else a for a in args), **given)


def run_theirs(case: Case, iterations: int, checkout: Path) -> list[float]:
    """Their script, told our images, width and loops."""
    stand_in()
    calls: list[float] = []

    def clocked(make: Callable[..., torch.nn.Module]) -> Callable[..., torch.nn.Module]:
        def network(*given: object, **named: object) -> torch.nn.Module:
            calls.append(time.perf_counter())
            if len(calls) == iterations + 2:
                raise EnoughError
            return make(*given, **named)

        return network

    run = {"dm": run_dc, "dsa": run_dc, "mtt": run_mtt, "idc": run_idc}[case.method]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with suppress(EnoughError), AsThen():
            run(case, checkout, Path(folder), clocked)
    return np.diff(calls)[1:].tolist()


Clocked = Callable[[Callable[..., torch.nn.Module]], Callable[..., torch.nn.Module]]
_SETTING = (WIDTH, 3, "relu", "instancenorm", "avgpooling")


def pairs() -> list[tuple[torch.Tensor, int]]:
    """Images and labels as their data sets give them."""
    images = data()
    pixels = normalise(torch.from_numpy(np.array(images.images)))
    return [(pixels[row], int(images.classes[row])) for row in range(len(images))]


def script(path: Path, **words: object) -> None:
    """Run a script with options."""
    given = [part for name, value in words.items() for part in (f"--{name}", str(value))]
    sys.argv = [path.name, *given]
    runpy.run_path(str(path), run_name="__main__")


def run_dc(case: Case, checkout: Path, folder: Path, clocked: Clocked) -> None:
    """DM or DSA."""
    import utils

    names, found = [str(label) for label in range(10)], pairs()
    utils.get_dataset = lambda *_: (1, (28, 28), 10, names, [0.0], [1.0], found, [], None)
    utils.get_network = clocked(utils.get_network)
    utils.get_default_convnet_setting = lambda: _SETTING
    utils.get_loops = lambda *_: (case.outer, case.inner)
    words = {"ipc": case.per_class, "num_exp": 1, "num_eval": 0, "batch_real": BATCH}
    words |= {"init": "real", "dsa_strategy": STRATEGY, "data_path": folder, "save_path": folder}
    if case.method == "dm":
        script(checkout / "main_DM.py", **words)
    else:
        script(checkout / "main.py", method="DSA", **words)


def run_mtt(case: Case, checkout: Path, folder: Path, clocked: Clocked) -> None:
    """MTT, on an expert that ours trained."""
    import utils

    names, found = [str(label) for label in range(10)], pairs()
    same = {label: label for label in range(10)}
    whole = (1, (28, 28), 10, names, [0.0], [1.0], found, [], None, None, same, same)
    utils.get_dataset = lambda *_, **__: whole
    utils.get_default_convnet_setting = lambda: _SETTING
    shapes = [part.shape for part in utils.get_network("ConvNet", 1, 10, (28, 28)).parameters()]
    config = MttConfig(iterations=1, inner_steps=1, **EXPERTS)
    given = learning(case, folder / "ours")
    distil_mtt(given, config)
    path = np.load(next((folder / "ours").rglob("path.npy")))
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    trajectory = [
        [
            torch.from_numpy(part.copy()).reshape(shape)
            for part, shape in zip(parts, shapes, strict=True)
        ]
        for parts in (np.split(row, ends) for row in path)
    ]
    buffers = folder / "buffers" / "FashionMNIST" / "ConvNet"
    buffers.mkdir(parents=True)
    torch.save([trajectory], buffers / "replay_buffer_0.pt")
    utils.get_network = clocked(utils.get_network)
    script(
        checkout / "distill.py",
        dataset="FashionMNIST",
        ipc=case.per_class,
        num_eval=0,
        eval_it=1000,
        lr_img=config.lr,
        syn_steps=case.outer,
        expert_epochs=config.span,
        max_start_epoch=config.latest_start,
        buffer_path=folder / "buffers",
    )


def run_idc(case: Case, checkout: Path, folder: Path, clocked: Clocked) -> None:
    """IDC."""
    theirs, options = idc_modules(case)
    found = pairs()

    class Images(list):
        nclass, targets = 10, [label for _, label in found]

    theirs.load_resized_data = lambda _: (Images(found), None)
    theirs.define_model = clocked(theirs.define_model)
    theirs.save_img = lambda *_, **__: None
    # It saves its images below the folder it runs in.
    os.chdir(folder)
    Path(options.save_dir).mkdir(parents=True, exist_ok=True)
    theirs.condense(options, print, device="cpu")


def idc_modules(case: Case) -> tuple[ModuleType, argparse.Namespace]:
    """Their module and what their parser makes of the options."""
    words = {"dataset": "fashion", "ipc": case.per_class, "factor": 2, "metric": "mse"}
    words |= {"aug_type": "color_crop_cutout_scale_rotate", "width": WIDTH / 128, "depth": 3}
    words |= {"inner_loop": case.outer, "niter": 1, "batch_real": BATCH}
    given = [part for name, value in words.items() for part in (f"--{name}", str(value))]
    sys.argv = ["condense.py", *given, "--test"]
    stand_in()
    with AsThen():
        import argument
        import condense
    return condense, argument.args


class Anything:
    """Stands for whatever is never used for anything that counts."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take it."""

    def __call__(self, *args: object, **kwargs: object) -> torch.Tensor:
        """A picture of nothing."""
        return torch.zeros(3, 2, 2)

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class Compose:
    """One change after the other."""

    def __init__(self, changes: Sequence[Callable[[torch.Tensor], torch.Tensor]]) -> None:
        self.changes = changes

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        for change in self.changes:
            images = change(images)
        return images


def stand_in() -> None:
    """Modules for what they import and this comparison never measures."""

    def module(name: str, **attributes: object) -> ModuleType:
        made = ModuleType(name)
        for key, value in attributes.items():
            setattr(made, key, value)
        sys.modules[name] = made
        return made

    transforms = module("torchvision.transforms", Compose=Compose)
    datasets = module("torchvision.datasets", DatasetFolder=object, folder=Anything())
    pictures = module("torchvision.utils", save_image=Anything(), make_grid=Anything())
    models = module("torchvision.models")
    module("torchvision", transforms=transforms, datasets=datasets, utils=pictures, models=models)
    # Removed from numpy.
    vars(np)["int"] = int
    # Removed from scipy; they need it for a rotation that is not used here.
    module("scipy.ndimage.interpolation", rotate=None)
    module("kornia", enhance=Anything())
    module("efficientnet_pytorch", EfficientNet=object)
    module("matplotlib", use=Anything(), pyplot=module("matplotlib.pyplot"))
    logs = module("wandb", log=Anything(), Image=Anything(), Histogram=Anything())
    logs.finish, logs.run, logs.config = Anything(), Named(), Named()

    def begin(config: argparse.Namespace, **_: object) -> None:
        logs.config._items = dict(vars(config))

    logs.init = begin


class Named:
    """A run of their logs."""

    name = "run"


def losses(case: Case, _: int, checkout: Path) -> list[float]:
    """Ours and theirs, for the same weights and images."""
    images = data()
    own = normalise(torch.from_numpy(np.array(images.images[images.classes == 0])))
    asked = {"dm": dm_losses, "dsa": dsa_losses, "mtt": mtt_losses, "idc": idc_losses}
    stand_in()
    mine, other = asked[case.method](case, own[:BATCH], own[BATCH : BATCH + 10])
    return [float(torch.as_tensor(value).detach()) for value in (mine, other)]


Losses = tuple[torch.Tensor | float, torch.Tensor]


def our_net() -> torch.nn.Module:
    net = NetConfig(name="convnet", width=WIDTH)
    return build(net, image_shape=(1, 28, 28), n_classes=10, seed=0)


def both_nets() -> tuple[torch.nn.Module, torch.nn.Module]:
    """Ours and theirs with the same weights."""
    import utils

    utils.get_default_convnet_setting = lambda: _SETTING
    ours, theirs = our_net(), utils.get_network("ConvNet", 1, 10, (28, 28))
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            mine.copy_(other)
    return ours, theirs


def gradients(net: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """As if all images were of class 0."""
    labels = torch.zeros(len(images), dtype=torch.int64)
    loss = torch.nn.functional.cross_entropy(net(images), labels)
    return list(torch.autograd.grad(loss, list(net.parameters())))


def dm_losses(_: Case, real: torch.Tensor, learned: torch.Tensor) -> Losses:
    ours, theirs = both_nets()
    with torch.no_grad():
        mine = mean_distance(ours, real, [len(real)], learned, len(learned))
        gap = theirs.embed(real).mean(dim=0) - theirs.embed(learned).mean(dim=0)
        return mine, torch.sum(gap**2)


def dsa_losses(_: Case, real: torch.Tensor, learned: torch.Tensor) -> Losses:
    ours, theirs = both_nets()
    import utils

    how = argparse.Namespace(dis_metric="ours", device="cpu")
    return (
        gradient_distance(gradients(ours, learned), gradients(ours, real)),
        utils.match_loss(gradients(theirs, learned), gradients(theirs, real), how),
    )


def idc_losses(case: Case, real: torch.Tensor, learned: torch.Tensor) -> Losses:
    module, options = idc_modules(case)
    ours, theirs = our_net(), module.define_model(options, 10)
    # Theirs lists all convolutions before all norms.
    for at in range(3):
        for place, kind in ((4 * at, "conv"), (4 * at + 1, "norm")):
            ours.features[place].load_state_dict(theirs.layers[kind][at].state_dict())
    ours.classifier.load_state_dict(theirs.classifier.state_dict())
    labels = torch.zeros(len(real) + len(learned), dtype=torch.int64)
    here, there = labels[: len(real)], labels[len(real) :]
    return (
        conv_distance(gradients(ours, learned), gradients(ours, real), "mse"),
        module.matchloss(options, real, learned, here, there, theirs),
    )


def mtt_losses(_: Case, real: torch.Tensor, learned: torch.Tensor) -> Losses:
    """Three student steps from the net's own weights to others; theirs by their own module."""
    ours, theirs = both_nets()
    from reparam_module import ReparamModule

    start = torch.cat([part.detach().reshape(-1) for part in theirs.parameters()])
    drawn = torch.Generator().manual_seed(0)
    target = start + 0.01 * torch.randn(start.shape, generator=drawn)
    labels = torch.arange(10)
    views = [lambda view: view] * 3
    mine, _, _ = trajectory_gradients(
        FlatNet(ours), learned, labels, views, start=start, target=target, lr=0.01
    )
    student = ReparamModule(theirs)
    weights = start.clone().requires_grad_()
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(student(learned, flat_param=weights), labels)
        weights = weights - 0.01 * torch.autograd.grad(loss, weights, create_graph=True)[0]
    return mine, ((weights - target) ** 2).sum() / ((start - target) ** 2).sum()


def page(result: dict) -> str:
    machine = result["machine"]
    commits = result["theirs"]
    lines = [
        "# Beside the authors' code\n",
        f"    {result['command']}\n",
        f"`VICO-UoE/DatasetCondensation` at {commits['dc']}, `mtt-distillation` at "
        f"{commits['mtt']}, `Efficient-Dataset-Condensation` at {commits['idc']}, their scripts as "
        f"they are; ConvNet-3 of width {WIDTH}, {BATCH} real images a class of {IMAGES:,} of "
        "Fashion-MNIST, ten classes, augmentation; one thread, median iteration, median of "
        f"{result['repeats']} processes that took turns. {machine['processor']}, commit "
        f"{result['commit']}, {result['date']}.\n",
        "| method, images a class | theirs, s an iteration | ours | times faster |",
        "| --- | ---: | ---: | ---: |",
    ]
    for case, row in result["rows"].items():
        lines.append(
            f"| {case.upper()} | {row['theirs_s']:.3f} | {row['ours_s']:.3f} | {row['ratio']:.2f} |"
        )
    lines += [
        "\nShortened alike in both: DSA at 10 images a class takes 2 matching steps a net and 5 "
        "epochs between them (published 10 and 50), MTT 20 student steps, IDC 2 matching steps a "
        "net (published 100). MTT keeps one step's graph at a time and pays for it with a second "
        "forward pass of each; theirs keeps all of them. Our methods run with deterministic "
        "kernels, theirs need not.\n",
        "The losses of the same weights and images:\n",
        *(
            f"- {name.upper()}: ours {mine:.6g}, theirs {other:.6g}"
            for name, (mine, other) in result["losses"].items()
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
