#!/bin/sh
# How much of a large study's time is AttnLab's own: a sweep of 100 arms and 10 rounds of the tiny model, with what is
# measured and what is not taken from environment.json. Takes some minutes: not part of the tests.
#   tests/e2e/own_time.sh [PROGRAM] [ARMS] [ROUNDS] [BATCH]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
program=${1:-$root/build/release/bin/attnlab}
arms=${2:-100}
rounds=${3:-10}
batch=${4:-q64}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  echo "name: own-time"
  echo "model: $root/configs/models/tiny.yaml"
  echo "repeats: $rounds"
  echo "workloads: [{speed: {batch: [$batch]}}]"
  echo "arms:"
  for arm in $(seq "$arms"); do echo "  - {cache: {window: {window: $((arm + 3))}}}"; done
} >"$folder/study.yaml"
"$program" run "$folder/study.yaml" -o "$folder/out" --quiet
python3 - "$folder/out" <<'PY'
import json, os, sys
folder = sys.argv[1]
environment = json.load(open(os.path.join(folder, "environment.json")))
seconds = environment["attnlab_seconds"]
own = seconds["total"] - seconds["measured"]
print(f'{len(os.listdir(os.path.join(folder, "trials")))} trials, {seconds["total"]:.1f} s in all, '
      f'{seconds["measured"]:.1f} s in trials; own {own:.1f} s = {100 * own / seconds["total"]:.1f} %')
PY
