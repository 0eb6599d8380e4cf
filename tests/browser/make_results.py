"""Results folders as the runner leaves them, made from a fixed seed: environment.json and trials/*.json."""

import json
import math
import random
from pathlib import Path

ENVIRONMENT = {
    "cpu": "Test CPU with 2 cores",
    "cpu_flags": ["avx2", "fma"],
    "simd_target": "AVX2",
    "logical_cores": 2,
    "threads": 2,
    "caches": {"l1d_bytes": 49152, "l2_bytes": 1048576, "l3_bytes": 33554432, "l3_instances": 1, "source": "sysfs"},
    "memory_bytes": 16 << 30,
    "kernel": "Linux 6.1 x86_64",
    "build": {"compiler": "GNU 12.2", "build_type": "Release", "libraries": "boost 1.74",
              "git_revision": "0123456789ab"},
    "plugins": [{"file": "gqa.so", "sha256": "0" * 64}],
    "load_average": [0.1, 0.2, 0.3],
    "roof": {"fma_flops_per_second": 4.5e11, "read_bytes_per_second": 6.0e10, "buffer_bytes": 1 << 30,
             "is_valid": True},
    "warmup": {"rounds": 2, "agreed": True, "difference": 0.012, "most": 3},
}


def sample(metric, unit, better, value, deterministic=False):
    return {"metric": metric, "unit": unit, "better": better, "value": value, "deterministic": deterministic}


def resolved_cache(written):
    """As the plan has it, defaults included."""
    if not written.startswith("{"):
        return {written: {"storage": "f32"}}
    (policy, options), = json.loads(written).items()
    return {policy: {"storage": "f32", **options}}


class Study:
    """Arms, cases and trials of one study; `write` leaves the folder."""

    def __init__(self, name, question, rounds, seed=1):
        self.random = random.Random(seed)
        self.name, self.question, self.rounds = name, question, rounds
        self.arms, self.cases, self.trials, self.warnings = [], [], [], []
        self.seeds, self.trainings, self.curves = [1], [], {}
        self.environment = json.loads(json.dumps(ENVIRONMENT))
        # Round 1 was disturbed and went well when repeated, round 3 was disturbed both times.
        self.environment["rounds"] = [
            {"round": r, "attempt": attempt, "load_average": 0.5, "other_cpu_share": 0.4 if disturbed else 0.01,
             "steal_share": 0.0, "disturbed": disturbed, "repeated": disturbed and attempt == 1}
            for r in range(rounds) for attempt, disturbed in
            {1: [(1, True), (2, False)], 3: [(1, True), (2, True)]}.get(r, [(1, False)])]
        self.baseline = ""

    def add_arm(self, name, attention, cache="full", position="rope", **more):
        arm = {"name": name, "attention": attention, "position": position, "cache": cache, "notes": [], "refused": "",
               "tags": [], "numbers": {}, "resolved": {"attention": {attention: {"kv_heads": 4}}, "position": position,
                                                       "cache": resolved_cache(cache)}}
        arm.update(more)
        self.arms.append(arm)
        return arm

    def add_case(self, workload, case, **numbers):
        entry = {"workload": workload, "case": case, "numbers": numbers}
        self.cases.append(entry)
        return entry

    def add_trial(self, arm, case, round_, samples, status="ok", reason="", details=None, seed=1):
        name = f"{len(self.trials):05d}"
        self.trials.append({
            "format": 1, "id": name, "arm": arm["name"], "attention": arm["attention"], "position": arm["position"],
            "cache": arm["cache"], "workload": case["workload"], "case": case["case"], "round": round_, "seed": seed,
            "status": status, "reason": reason, "samples": samples, "details": details or {}})

    def noise(self, spread=0.01):
        return math.exp(self.random.gauss(0, spread))

    def write(self, folder):
        folder = Path(folder)
        (folder / "trials").mkdir(parents=True)
        study = {"name": self.name, "question": self.question, "arms": self.arms, "cases": self.cases,
                 "baseline": self.baseline or self.arms[0]["name"], "rounds": self.rounds, "seeds": self.seeds,
                 "trainings": self.trainings, "warnings": self.warnings, "trials": [trial["id"] for trial in self.trials]}
        (folder / "environment.json").write_text(json.dumps({**self.environment, "study": study}))
        for trial in self.trials:
            (folder / "trials" / f"{trial['id']}.json").write_text(json.dumps(trial))
        for name, text in self.curves.items():
            (folder / "training").mkdir(exist_ok=True)
            (folder / "training" / name).write_text(text)
        return folder


def decode_samples(study, speed, kv_bytes, weights=1 << 28, sequences=1):
    """What a decode case leaves, and its details."""
    step = sequences / speed
    latencies = [step * study.noise(0.05) for _ in range(32)]
    samples = [
        sample("decode_tokens_per_second", "tokens/s", "higher", speed),
        sample("token_latency_p50_s", "s", "lower", sorted(latencies)[16]),
        sample("token_latency_p95_s", "s", "lower", sorted(latencies)[30]),
        sample("attention_core_s", "s", "lower", step * 0.3 * study.noise()),
        sample("kv_bytes_allocated", "bytes", "lower", kv_bytes, True),
        sample("peak_rss_bytes", "bytes", "lower", (weights + kv_bytes) * study.noise(0.002)),
        sample("bytes_read_per_second", "bytes/s", "higher", (weights + kv_bytes) / step),
    ]
    return samples, {"bytes_per_step": weights + kv_bytes, "token_latencies_s": latencies}


def ordinary(rounds=7):
    """Twelve arms: variants and budgets, three contexts, text, recall; a refused arm, a crash and a timeout."""
    study = Study("kv-and-cache",
                  "What do fewer kv heads and smaller caches cost in quality, and buy in speed and memory?", rounds)
    heads = {"mha": 12, "gqa": 4, "mqa": 1}
    speed_of = {"mha": 1.0, "gqa": 1.3, "mqa": 1.45}
    for attention, kv_heads in heads.items():
        study.add_arm(attention, attention, numbers={"kv_heads": kv_heads}, tags=["heads"])
    for budget in (64, 128, 256):
        for policy in ("h2o", "window"):
            cache = json.dumps({policy: {"budget": budget}})
            study.add_arm(f"gqa/{policy}({budget})", "gqa", cache, numbers={"kv_heads": 4, "cache.budget": budget},
                          tags=["budget"], notes=["converted: 12 kv heads to 4"])
    crash = study.add_arm("gqa/crashing", "gqa", "crashing", numbers={"kv_heads": 4})
    slow = study.add_arm("gqa/slow", "gqa", "slow", numbers={"kv_heads": 4})
    study.add_arm("linear/h2o", "linear", "h2o",
                  refused="attention linear keeps a state; cache h2o needs rows to evict")
    speeds = [study.add_case("speed", f"q1s{n}", context=n, new_tokens=1, sequences=1) for n in (1024, 4096, 16384)]
    prefill = study.add_case("speed", "q512", context=512, new_tokens=512, sequences=1)
    text = study.add_case("perplexity", "", context=256, prefill=128)
    recall = study.add_case("recall", "", length=256, pairs=32)
    for round_ in range(rounds):
        shared = study.noise(0.03) * (0.8 if round_ == 3 else 1)
        for arm in study.arms:
            if arm["refused"]:
                continue
            if arm is crash and round_ > 1:
                for case in speeds:
                    study.add_trial(arm, case, round_, [], "failed",
                                    "signal 11 (segmentation fault)\nlast line of stderr")
                continue
            if arm is slow:
                for case in speeds:
                    study.add_trial(arm, case, round_, [], "timed_out", "600 s were not enough")
                continue
            budget = arm["numbers"].get("cache.budget")
            for case in speeds:
                rows = min(budget or 1 << 30, case["numbers"]["context"])
                kv_bytes = rows * arm["numbers"]["kv_heads"] * 12 * 64 * 8
                slowdown = 1 + rows * arm["numbers"]["kv_heads"] / 60000
                speed = 110 * speed_of[arm["attention"]] * shared * study.noise() / slowdown
                samples, details = decode_samples(study, speed, kv_bytes)
                if case is speeds[2]:
                    details["notes"] = ["longer than the 8192 positions that the model was trained for"]
                study.add_trial(arm, case, round_, samples, details=details)
            study.add_trial(arm, prefill, round_, [
                sample("prefill_tokens_per_second", "tokens/s", "higher",
                       1800 * speed_of[arm["attention"]] ** 0.5 * shared * study.noise()),
                sample("operations_per_second", "FLOP/s", "higher", 3e11 * shared * study.noise())])
            if round_ == 0:
                loss = 0.02 * (12 - arm["numbers"]["kv_heads"]) / 12 + (0 if budget is None else 8.0 / budget)
                kv_bytes = (budget or 256) * arm["numbers"]["kv_heads"] * 768
                study.add_trial(arm, text, 0, [
                    sample("nll_per_token", "nats", "lower", 3.0 + loss, True),
                    sample("perplexity", "", "lower", math.exp(3.0 + loss), True),
                    sample("kv_bytes_mean", "bytes", "lower", kv_bytes, True),
                    sample("rows_evicted", "", "none", 0 if budget is None else 1000, True)])
                share = 1.0 if budget is None else min(1.0, budget / 200)
                study.add_trial(arm, recall, 0, [
                    sample("recall_accuracy", "share", "higher", max(0.0, share - 0.01 * study.random.random()), True),
                    sample("recall_predicted", "share", "none", share, True),
                    sample("kv_bytes_mean", "bytes", "lower", kv_bytes, True)])
    return study


def large(arms=100, rounds=10):
    """Many arms and rounds: the size and the first chart are measured on it."""
    study = Study("hundred", "Which of a hundred budgets is worth its bytes?", rounds)
    for index in range(arms):
        budget = 16 * (index + 1)
        study.add_arm(f"gqa/rope/h2o(heavy={budget},recent={budget})", "gqa",
                      json.dumps({"h2o": {"heavy": budget, "recent": budget}}),
                      numbers={"kv_heads": 4, "cache.heavy": budget, "cache.recent": budget},
                      resolved={"attention": {"gqa": {"kv_heads": 4, "qk_norm": False, "scale": 0.125}},
                                "position": {"rope": {"theta": 10000.0}},
                                "cache": {"h2o": {"heavy": budget, "recent": budget, "storage": "f32", "page": 0}}})
    decode = study.add_case("speed", "q1s1k", context=1024, new_tokens=1, sequences=1)
    prefill = study.add_case("speed", "q256", context=256, new_tokens=256, sequences=1)
    text = study.add_case("perplexity", "", context=256, prefill=128)
    for round_ in range(rounds):
        for index, arm in enumerate(study.arms):
            samples, details = decode_samples(study, (300 - index) * study.noise(), 16384 * (index + 1))
            details["token_latencies_s"] = [study.noise(0.1) / 300 for _ in range(512)]
            study.add_trial(arm, decode, round_, samples, details=details)
            study.add_trial(arm, prefill, round_, [
                sample("prefill_tokens_per_second", "tokens/s", "higher", 9000 * study.noise()),
                sample("time_to_first_token_s", "s", "lower", 0.03 * study.noise())])
            if round_ == 0:
                study.add_trial(arm, text, 0, [
                    sample("perplexity", "", "lower", 20 + 30 / (index + 1), True),
                    sample("kv_bytes_mean", "bytes", "lower", 8192 * (index + 1), True)])
    return study


NASTY = ("<script>window.hacked = true; alert(1)</script> & </script><img src=x onerror=window.hacked=true> "
         "\"' \u2028\u2029 <!-- ]]>")


def nasty():
    """Markup in every string that comes from YAML, a plugin or a model."""
    study = Study("name " + NASTY, "question " + NASTY, 2)
    study.warnings = ["warning " + NASTY]
    for arm in ("one", "two"):
        study.add_arm(f"{arm} {NASTY}", "attention " + NASTY, "cache " + NASTY, "position " + NASTY,
                      notes=["note " + NASTY], tags=["tag " + NASTY],
                      numbers={"cache." + NASTY: 1.0 if arm == "one" else 2.0},
                      resolved={"attention " + NASTY: NASTY})
    study.add_arm("refused " + NASTY, "attention", refused="refusal " + NASTY)
    cases = [study.add_case("workload " + NASTY, f"case {n} {NASTY}", **{"number " + NASTY: n}) for n in (1, 2)]
    generate = study.add_case("generate", "")
    for round_ in range(2):
        for arm in study.arms[:2]:
            for case in cases:
                study.add_trial(arm, case, round_, [
                    sample("metric " + NASTY, "unit " + NASTY, "higher", 1.0 + round_),
                    sample("decode_tokens_per_second", "tokens/s", "higher", 5.0 + round_)],
                    details={"notes": ["trial note " + NASTY], "token_latencies_s": [0.1, 0.2]})
            study.add_trial(arm, generate, round_, [sample("perplexity", "unit " + NASTY, "lower", 3.0, True)],
                            details={"prompt": "prompt " + NASTY, "text": "text " + NASTY})
    study.add_trial(study.arms[0], cases[0], 2, [], "failed", "reason " + NASTY)
    study.environment.update({"cpu": "cpu " + NASTY, "kernel": "kernel " + NASTY, "cpu_flags": ["flag " + NASTY],
                              "simd_target": "target " + NASTY, "key " + NASTY: NASTY})
    study.environment["build"] = {key: f"{key} {NASTY}" for key in study.environment["build"]}
    study.environment["plugins"] = [{"file": "file " + NASTY, "sha256": "hash " + NASTY}]
    return study


def policies(windows=120):
    """Real names: four policies whose budgets have different option names, two storages, a text with windows."""
    study = Study("policies", "What does a policy make of its bytes?", 7)
    choices = [("full", {})]
    for budget in (64, 128, 256, 512):
        choices.append(("h2o", {"heavy": str(budget // 2), "recent": str(budget // 2)}))
        choices.append(("snapkv", {"budget": str(budget), "window": 16}))
        choices.append(("window", {"window": budget}))
    choices += [("snapkv", {"budget": str(budget), "window": 16, "storage": "int8"}) for budget in (128, 512)]
    loss_of = {"full": 0, "h2o": 6, "snapkv": 4, "window": 14}
    text = study.add_case("perplexity", "sample_context1024_prefill256", context=1024, prefill=256)
    decode = study.add_case("speed", "q1s1k", context=1024, new_tokens=1, sequences=1)
    for policy, options in choices:
        shown = ",".join(f"{key}={value}" for key, value in sorted(options.items()))
        resolved = {policy: {**options, "protect": {"first": 0}, "storage": options.get("storage", "f32")}}
        study.add_arm(f"gqa/rope/{policy}({shown})" if shown else f"gqa/rope/{policy}", "gqa", json.dumps(resolved),
                      numbers={"kv_heads": 4},
                      resolved={"attention": {"gqa": {"kv_heads": 4}}, "position": {"rope": {"theta": 10000.0}},
                                "cache": resolved})
    study.add_arm("gqa/rope/crashing", "gqa", "crashing",
                  resolved={"attention": {"gqa": {"kv_heads": 4}}, "position": {"rope": {"theta": 10000.0}},
                            "cache": {"crashing": {"storage": "f32"}}})
    study.add_arm("linear/rope/h2o", "linear", "h2o", resolved=None,
                  refused="attention linear keeps a state; cache h2o needs rows")
    for arm in study.arms[:-2]:
        (policy, options), = arm["resolved"]["cache"].items()
        rows = min(1024, sum(int(options[key]) for key in options if key in ("budget", "heavy", "recent"))
                   or int(options.get("window", 1024)))
        kv_bytes = rows * 4 * 64 * 2 * 4 * 12 // (4 if options["storage"] == "int8" else 1)
        loss = loss_of[policy] / rows * (1024 - rows) / 200 + (0.01 if options["storage"] == "int8" else 0)
        nll = [768 * (3.0 + loss + 0.05 * study.random.gauss(0, 1)) for _ in range(windows)]
        mean = sum(nll) / (768 * windows)
        study.add_trial(arm, text, 0, [
            sample("nll_per_token", "nats", "lower", mean, True),
            sample("perplexity", "", "lower", math.exp(mean), True),
            sample("kv_bytes_mean", "bytes", "lower", kv_bytes, True)],
            details={"windows": {"tokens": [768] * windows, "nll": nll}})
        for round_ in range(7):
            samples, details = decode_samples(study, 110 * study.noise() / (1 + rows / 4000), kv_bytes)
            study.add_trial(arm, decode, round_, samples, details=details)
    study.add_trial(study.arms[-2], text, 0, [], "failed", "signal 11 (segmentation fault)\nlast line of stderr")
    return study


def trained(seeds=3, steps=900, is_live=False):
    """Two variants, one with two caches, trained with three learning rates; one training diverges. Live: the second
    variant is at its last seed, and no trial has ended."""
    study = Study("trained", "Does a state recall as much as rows?", 1)
    study.seeds = list(range(1, seeds + 1))
    for attention, cache in (("gqa", "full"), ("gqa", "short"), ("linear", "full")):
        study.add_arm(f"{attention}/{cache}", attention, cache)
    train = study.add_case("train", f"recall steps{steps}")
    speed = study.add_case("speed", "q1s1k", context=1024, new_tokens=1, sequences=1)
    rates = (0.001, 0.003, 0.01)
    for seed in study.seeds:
        for attention in ("gqa", "linear"):
            arms = [arm for arm in study.arms if arm["attention"] == attention]
            for index, rate in enumerate(rates):
                name = f"{attention}-{index}-{seed}"
                study.trainings.append({"id": name, "arms": [arm["name"] for arm in arms], "seed": seed,
                                        "learning_rate": rate, "is_searched": True, "parameters": 54321,
                                        "steps": steps})
                is_diverged = attention == "linear" and index == 2 and seed == 2
                is_last = is_live and attention == "linear" and seed == seeds
                end = (1.1 if attention == "linear" else 0.8) + (0 if index == 1 else 0.2)
                end += 0.02 * study.random.random()
                taken = 400 if is_diverged or is_last else steps
                if is_last and index > 0:
                    continue
                losses = [(end + 5 * math.exp(-step / 120)) * study.noise(0.05) for step in range(1, taken + 1)]
                if is_diverged:
                    losses[-4:] = [math.nan] * 4
                rows = [f"{step},{loss!r},0.7,{rate},{step * 64},{step * 0.02!r}"
                        for step, loss in enumerate(losses, 1)]
                study.curves[f"{name}.csv"] = "\n".join(
                    ["step,loss,gradient_norm,learning_rate,tokens,seconds", *rows, "401,1." if is_last else ""])
                study.curves[f"{name}.held-out.csv"] = "step,loss,accuracy\n" + "".join(
                    f"{step},{losses[step - 1]!r},{1 - losses[step - 1] / 10!r}\n" for step in range(100, taken, 100))
                if is_last:
                    continue
                samples = [] if is_diverged else [
                    sample("validation_loss", "nats", "lower", end, True),
                    sample("accuracy", "share", "higher", 1 - end / 10, True),
                    sample("train_steps", "", "none", steps, True), sample("train_seconds", "s", "lower", steps * 0.02)]
                trial = {"id": name, "arm": "", "workload": "train", "round": 0, "status": "ok", "samples": samples}
                study.curves[f"{name}.json"] = json.dumps({
                    "id": name, "status": "diverged" if is_diverged else "ok",
                    "reason": "the loss of step 397 is no number" if is_diverged else "", "learning_rate": rate,
                    "stopped_early": False, "trial": trial})
                for arm in arms if index == 1 and not is_live else []:
                    study.add_trial(arm, train, 0, samples, seed=seed, details={
                        "training": {"id": name, "learning_rate": rate, "parameters": 54321, "stopped_early": False}})
                    samples_of_speed, details = decode_samples(study, 100.0, 1000 if arm["cache"] == "short" else 9000)
                    study.add_trial(arm, speed, 0, samples_of_speed, details=details, seed=seed)
    return study
