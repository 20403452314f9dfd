"""Reads manifests of Kubernetes and says what the schemas of the API, of several releases, have against them.

The argument is the file of a whole object; a document on stdin that has no `kind` is a strategic merge patch of that.
Prints "KIND RELEASE ok" or "KIND RELEASE PATH: WHAT", a line for each document and release.
"""

import copy
import sys

import kubernetes_validate
import yaml

RELEASES = ["1.29", "1.31", "1.33", "1.35", "1.37"]


def patched(whole, patch):
    """A strategic merge: objects are merged, and lists of what has names by these names."""
    if isinstance(whole, dict) and isinstance(patch, dict):
        return {key: patched(whole.get(key), patch[key]) if key in patch else whole[key] for key in {**whole, **patch}}
    if isinstance(whole, list) and all("name" in item for item in whole + patch):
        own = {item["name"]: item for item in whole}
        named = {item["name"]: patched(own.get(item["name"]), item) for item in patch}
        return list({**own, **named}.values())
    return copy.deepcopy(patch)


with open(sys.argv[1], encoding="utf-8") as file:
    base = yaml.safe_load(file)
for document in yaml.safe_load_all(sys.stdin):
    if "kind" not in document:
        document = patched(base, document)
    for release in RELEASES:
        try:
            judge = kubernetes_validate.validate(document, release, strict=True)
            answer = "ok"
        except kubernetes_validate.ValidationError as error:
            judge = error.version
            answer = f"{'.'.join(map(str, error.path))}: {error.message}"
        print(document["kind"], judge, answer.replace("\n", " "))
