"""A process that opens hostile files one after another and reports how each went.

Reads `family seed` lines, writes one JSON line for each. It is a process of its own because a damaged file could take
it down: its parent then knows which one did. Its memory is limited.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.files import mutations, yaml_mutations

MEMORY = 3 << 30
"""Bytes of address space beyond what the process has when its libraries are loaded."""
CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


def main() -> None:
    box = Path(sys.argv[1])
    os.environ["TMPDIR"] = str(box / "tmp")  # before anybody asks for a temporary folder
    (box / "tmp").mkdir(parents=True)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Keras talks on stdout
    warnings.simplefilter("ignore")
    families = _families(box)
    sys.addaudithook(functools.partial(_watch, str(box)))
    _limit_memory()
    print(json.dumps({"ready": sorted(families)}), file=answers, flush=True)
    for line in sys.stdin:
        family, seed = line.split()
        print(json.dumps(_run(box, families[family], family, int(seed))), file=answers, flush=True)


def _families(box: Path) -> dict[str, tuple[Callable[[random.Random], bytes], str, Callable[[Path], object]]]:
    """Returns for each family how a file is made, what its name ends in, and what opens it."""
    import keras

    import attnzoo
    from attnzoo.building import plan_config
    from tests.helpers import conv_bn_relu, inverted_bottleneck

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="image")
    backbone = keras.Model(x, inverted_bottleneck(conv_bn_relu(x, 4, name="stem"), 4), name="backbone")
    base = keras.Sequential([backbone, keras.layers.Flatten(), keras.layers.Dense(3)], name="net")
    model = attnzoo.augment(base, "cbam", after=["block_project_bn"], ratio=2)
    good = {}
    for suffix in (".keras", ".h5", ".weights.h5"):
        path = box / f"good{suffix}"
        model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
        good[suffix] = path.read_bytes()
        path.unlink()

    def load(path: Path) -> None:
        attnzoo.inspect_file(path)
        attnzoo.load_model(path)

    def use_weights(path: Path) -> None:
        attnzoo.load_backbone_weights(model, path)

    def yaml(rng: random.Random) -> bytes:
        return yaml_mutations.yaml_of(rng.choice(CONFIGS).read_bytes(), rng)

    return {
        "keras": (lambda rng: mutations.keras_of(good[".keras"], rng), ".keras", load),
        "h5": (lambda rng: mutations.h5_of(good[".h5"], rng), ".h5", load),
        "weights": (lambda rng: mutations.h5_of(good[".weights.h5"], rng), ".weights.h5", use_weights),
        "yaml": (yaml, ".yaml", attnzoo.load_config),
        "plan": (yaml_mutations.values_of, ".yaml", plan_config),
    }


TOUCHED: list[str] = []
"""What was written, renamed or removed outside of the box."""
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
TWO_PATHS = ("os.rename", "os.symlink", "os.link")


def _watch(box: str, event: str, given: tuple[Any, ...]) -> None:
    writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if not writes and event not in CHANGES:
        return
    for path in given[: 2 if event in TWO_PATHS else 1]:
        if not isinstance(path, str | bytes):
            continue  # an open file
        path, folder = os.fsdecode(path), ""
        if event in ("os.remove", "os.rmdir") and given[-1] >= 0:  # relative to an open folder
            folder = os.readlink(f"/proc/self/fd/{given[-1]}") if sys.platform == "linux" else box
        path = os.path.abspath(os.path.join(folder, path))
        if path != os.devnull and "__pycache__" not in path and not path.startswith(box + os.sep):
            TOUCHED.append(f"{event} {path}")


def _run(box: Path, family: Any, name: str, seed: int) -> dict[str, Any]:
    from attnzoo.errors import AttnzooError, printable

    make, suffix, open_file = family
    folder = box / "case"
    folder.mkdir(exist_ok=True)
    path = folder / f"case{suffix}"
    data = make(random.Random(f"{name} {seed}"))
    path.write_bytes(data)
    outcome, text = "opened", ""
    before, start = _peak(), time.perf_counter()
    try:
        open_file(path)
    except AttnzooError as error:
        outcome, text = "refused", str(error)
    except Exception:
        outcome, text = "escaped", traceback.format_exc()[-3000:]
    seconds = time.perf_counter() - start
    left = sorted(str(p.relative_to(box)) for p in (*folder.iterdir(), *(box / "tmp").iterdir()))
    same = left == [f"case/case{suffix}"] and _hash(path.read_bytes()) == _hash(data) and not TOUCHED
    path.unlink(missing_ok=True)
    return {
        "family": name,
        "seed": seed,
        "outcome": outcome,
        "text": text,
        "seconds": seconds,
        "grown": _peak() - before,
        "peak": _peak(),
        "untouched": same,
        "touched": TOUCHED[:5],
        "printable": text == printable(text),
    }


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _peak() -> int:
    """Returns the most memory this process ever held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _limit_memory() -> None:
    if sys.platform == "linux":  # elsewhere the limit is not kept, or set too low by libraries that reserve much
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main()
