"""AttnLab beside llama.cpp on the same shape, in rounds: each round runs both, in an order that changes.

usage: experiments/peers/measure.py LIBRARIES [--fork LLAMA_BENCH] [--rounds 9] [--threads 2] [-o results/peers]

Writes the files of the rounds, which a later call with the same -o goes on from, and report.md: medians over the
rounds of tokens per second, and of AttnLab's as a multiple of llama.cpp's in the same round, with an interval of 95 %
for the median (order statistics; with fewer than 6 rounds, the range). LIBRARIES: the folder with libllama, see README.md.
LLAMA_BENCH: that program of ik_llama.cpp, the fork for CPUs, which then runs in every round too.
"""
import argparse
import csv
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys

import yaml

import gguf_model

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# AttnLab's arms of peers.yaml, with the types that llama.cpp has for them.
PAIRS = (("f32", "f32"), ("bf16", "bf16"), ("bf16-products", "bf16"), ("int8", "q8_0"), ("int8-products", "q8_0"),
         ("int4", "q4_0"), ("int4-products", "q4_0"))
NAMES = dict.fromkeys(name for _, name in PAIRS)


def run(command, **options):
    done = subprocess.run([str(part) for part in command], **options)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(str(part) for part in command)}")
    return done.stdout


def llama(arguments, *more):
    return run([sys.executable, HERE / "llama_cpp.py", arguments.libraries, *more], stdout=subprocess.PIPE)


def write_models(arguments, study):
    model = yaml.safe_load((HERE / study["model"]).read_text())
    plain = arguments.out / "f32.gguf"
    whole(plain, lambda to: gguf_model.write(model, to))
    for name in list(NAMES)[1:]:
        whole(arguments.out / f"{name}.gguf", lambda to: llama(arguments, "--quantise", plain, to, name))


def whole(path, write):
    """A file that is there is complete, whatever interrupts this."""
    if not path.exists():
        part = path.with_suffix(".part")
        write(part)
        part.replace(path)


def attnlab_round(arguments, number):
    folder = arguments.out / f"attnlab-{number}"
    shutil.rmtree(folder, ignore_errors=True)  # of a round that was interrupted
    run([ROOT / "attnlab", "run", HERE / "peers.yaml", "-o", folder, "--threads", arguments.threads],
        stdout=subprocess.DEVNULL)
    found = {}
    with open(folder / "summary.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric"] in ("prefill_tokens_per_second", "decode_tokens_per_second"):
                found.setdefault(row["arm"], {})[row["case"]] = float(row["median"])
    return found


def llama_round(arguments, batches):
    return of_arms({name: json.loads(llama(arguments, arguments.out / f"{name}.gguf", arguments.threads, *batches))
                    for name in NAMES})


def of_arms(found):
    return {arm: found[name] for arm, name in PAIRS}


def fork_round(arguments, batches):
    """The fork's own program on the same files; it repacks weights for its kernels when it loads them."""
    found = {}
    for name in NAMES:
        words = [arguments.fork, "-m", arguments.out / f"{name}.gguf", "-t", arguments.threads, "-r", 1, "-rtr", 1,
                 "-o", "json", "-n", 0]
        for batch in batches:
            new, _, held = batch[1:].partition("s")
            words += ["-gp", f"{tokens(held)},32"] if held else ["-p", tokens(new)]
        for one in json.loads(run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)):
            held = next((batch for batch in batches if "s" in batch and tokens(batch.split("s")[1]) == one["n_prompt"]),
                        None)
            batch = held if one["n_gen"] > 0 else f"q{one['n_prompt']}"
            found.setdefault(name, {})[batch] = statistics.median(one["samples_ts"])
    return of_arms(found)


def tokens(text):
    return int(text[:-1]) * 1024 if text.endswith("k") else int(text)


def interval(values):
    """Of the median, by order statistics; 95 % or more."""
    ordered, count = sorted(values), len(values)
    outside = 0
    while outside + 1 < count / 2 and 2 * sum(math.comb(count, i) for i in range(outside + 1)) / 2**count <= 0.05:
        outside += 1
    at = max(outside - 1, 0)
    return ordered[at], ordered[count - 1 - at]


def report(rounds, batches):
    peers = [name for name in ("llama.cpp", "fork") if name in rounds[0]]
    columns = "".join(f" | of {name}" for name in peers)
    lines = ["| weights | " + " | ".join(f"{batch}, tok/s{columns}" for batch in batches) + " |",
             "| --- |" + " --- |" * (1 + len(peers)) * len(batches)]
    for arm, name in PAIRS:
        cells = [f"{arm} ({name})"]
        for batch in batches:
            own = [one["attnlab"][arm][batch] for one in rounds]
            cells.append(f"{statistics.median(own):.4g}")
            for peer in peers:
                ratios = [one["attnlab"][arm][batch] / one[peer][arm][batch] for one in rounds]
                low, high = interval(ratios)
                cells.append(f"{statistics.median(ratios):.2f} [{low:.2f}, {high:.2f}]")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", type=pathlib.Path)
    parser.add_argument("--fork", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--out", type=pathlib.Path, default=pathlib.Path("results/peers"))
    arguments = parser.parse_args()
    study = yaml.safe_load((HERE / "peers.yaml").read_text())
    batches = study["workloads"][0]["speed"]["batch"]
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_models(arguments, study)
    rounds = []
    for number in range(arguments.rounds):
        file = arguments.out / f"round-{number}.json"
        if not file.exists():  # a run that was interrupted goes on
            engines = {"attnlab": lambda: attnlab_round(arguments, number),
                       "llama.cpp": lambda: llama_round(arguments, batches)}
            if arguments.fork is not None:
                engines["fork"] = lambda: fork_round(arguments, batches)
            order = sorted(engines)
            first = number % len(order)
            one = {engine: engines[engine]() for engine in order[first:] + order[:first]}
            whole(file, lambda to: to.write_text(json.dumps(one, indent=1)))
        rounds.append(json.loads(file.read_text()))
        (arguments.out / "report.md").write_text(report(rounds, batches))
        print(f"round {number + 1} of {arguments.rounds}", flush=True)
    print((arguments.out / "report.md").read_text(), end="")


if __name__ == "__main__":
    main()
