#!/usr/bin/env python3
"""Holds experiments against the JSON Schema with a validator that knows nothing of AttnLab.

check.py SCHEMA FOLDER_OF_GOOD FOLDER_OF_WRONG
Every *.yaml of the first folder must be valid, every one of the second must not be. Closes with "N passed, N failed";
exit 77 where python3-yaml or python3-jsonschema is not installed.
"""

import json
import pathlib
import re
import sys

try:
    import jsonschema
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}; apt-get install python3-yaml python3-jsonschema")
    sys.exit(77)


class Yaml12(yaml.SafeLoader):
    """Scalars as YAML 1.2 has them: `yes` is text, 010 is ten, 5e5 is a number."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
Yaml12.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
Yaml12.add_constructor("tag:yaml.org,2002:float", lambda loader, node: float(loader.construct_scalar(node)))


def load(path):
    """As JSON has it: keys are text."""
    return json.loads(json.dumps(yaml.load(path.read_text(encoding="utf-8"), Yaml12)))


def main(schema_path, good, wrong):
    schema = json.loads(pathlib.Path(schema_path).read_text(encoding="utf-8"))
    validator_class = jsonschema.validators.validator_for(schema)
    validator_class.check_schema(schema)
    validator = validator_class(schema)
    passed = failed = 0
    for folder, must_be_valid in ((good, True), (wrong, False)):
        files = sorted(pathlib.Path(folder).glob("*.yaml"))
        if not files:
            print(f"FAIL {folder}: there is nothing to check")
            failed += 1
        for path in files:
            errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in validator.iter_errors(load(path))]
            if (not errors) == must_be_valid:
                passed += 1
                continue
            failed += 1
            print(f"FAIL {path}: {'is refused: ' + errors[0] if errors else 'is valid and should not be'}")
    for path in sorted(pathlib.Path(good).glob("*.yaml")):
        if not path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=../configs/"):
            print(f"FAIL {path}: does not begin with the line that names the schema")
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
