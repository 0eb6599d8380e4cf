"""AttnLab's own time for a study of many trials on a cluster that takes none: from planning to the report.

usage: tests/e2e/cluster/own_time.py ATTNLAB [ARMSxCASES ...]      (by default 100x10 1000x10)

The cluster is pretended: `sbatch` and `squeue` are scripts, and this program writes the results as jobs would, with
figures that nobody measured. Prints for each number of trials the time from the call to the report, and the processor
time of AttnLab and of what it called. No test: it asserts nothing.
"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
SBATCH = """#!/bin/sh
n=$(cat {folder}/jobs 2>/dev/null || echo 0)
n=$((n + 1))
echo $n > {folder}/jobs
echo $n
"""
SQUEUE = """#!/usr/bin/python3
import json, pathlib, sys
names = [word[7:].split(",") for word in sys.argv if word.startswith("--name=")][0]
for submission in sorted(pathlib.Path("{folder}/out").glob("jobs/*/arrays.json")):
    for array in json.loads(submission.read_text()):
        if array["name"] in names and array["job"]:
            last = array["first_task"] + array["count"] - 1
            print(f"{{array['job']}}_[{{array['first_task']}}-{{last}}]|PENDING|Priority||{{array['name']}}")
"""
METRICS = ("nll_per_token", "perplexity", "kl_to_baseline", "same_top_token")


def program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def write_results(out):
    """What jobs would leave: one file for each planned trial."""
    study = json.loads((out / "environment.json").read_text())["study"]
    ids = iter(study["trials"])
    samples = [{"metric": metric, "unit": "", "better": "lower", "value": 2.0, "deterministic": True}
               for metric in METRICS]
    for arm in study["arms"]:
        for case in study["cases"]:
            trial = {"format": 1, "id": next(ids), "round": 0, "seed": 1, "status": "ok", "reason": "",
                     "arm": arm["name"], "attention": arm["attention"], "position": arm["position"],
                     "cache": arm["cache"], "workload": case["workload"], "case": case["case"], "samples": samples,
                     "details": {"node": {"name": "n1", "kind": "none"}}}
            part = out / "trials" / f".{trial['id']}.part"
            part.write_text(json.dumps(trial))
            part.rename(out / "trials" / f"{trial['id']}.json")


def write_study(folder, arms, cases):
    """An arm is a job, with all of its cases."""
    (folder / "bin").mkdir()
    program(folder / "bin/sbatch", SBATCH.format(folder=folder))
    program(folder / "bin/squeue", SQUEUE.format(folder=folder))
    program(folder / "bin/scontrol", "#!/bin/sh\necho 'MaxArraySize = 1001'\n")
    program(folder / "bin/scancel", "#!/bin/sh\n")
    (folder / "text.txt").write_text("a text that nobody reads " * 40)
    of_arms = ", ".join(f"{{name: w{i}, cache: {{window: {{window: {8 + i}}}}}}}" for i in range(arms))
    of_cases = ", ".join(f"{{perplexity: {{text: text.txt, context: {32 + i}, prefill: 8}}}}" for i in range(cases))
    (folder / "study.yaml").write_text(
        f"name: many\nmodel: {ROOT}/configs/models/tiny.yaml\nthreads: 1\narms: [{of_arms}]\n"
        f"workloads: [{of_cases}]\nlauncher: slurm\n")


def measure(attnlab, arms, cases):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_study(folder, arms, cases)
        environment = dict(os.environ, PATH=f"{folder}/bin:{os.environ['PATH']}")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.time()
        run = subprocess.Popen([attnlab, "run", "study.yaml", "-o", "out", "--quiet"], cwd=folder, env=environment)
        while not (folder / "out/environment.json").exists() and run.poll() is None:
            time.sleep(0.05)
        planned = time.time() - start
        if run.poll() is None:
            write_results(folder / "out")
        written = time.time() - start
        code = run.wait()
        whole = time.time() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        files = len(list((folder / "out/trials").glob("*.json")))
        print(f"{arms} arms, {arms * cases} trials: exit code {code}, {files} rows; planned and submitted after {planned:.1f} s, results "
              f"there after {written:.1f} s, reported after {whole:.1f} s; {processor:.1f} s of processor time",
              flush=True)


def main():
    attnlab = str(pathlib.Path(sys.argv[1]).resolve())
    for word in sys.argv[2:] or ["100x10", "1000x10"]:
        measure(attnlab, *(int(number) for number in word.split("x")))


if __name__ == "__main__":
    main()
