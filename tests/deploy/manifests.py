#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks manifests by what the Kubernetes API takes, as Debian's client library knows it: fields, their types, and those
that must be there; and by what no type says: that names lead somewhere.

  tests/deploy/manifests.py FOLDER

Where kubectl is at hand, it renders the folder first, by itself and with each component of its runtimes/.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml
from kubernetes import client

MODELS = {
    ("v1", "Namespace"): client.V1Namespace,
    ("v1", "ServiceAccount"): client.V1ServiceAccount,
    ("apps/v1", "DaemonSet"): client.V1DaemonSet,
}
PLAIN = {"str": str, "int": int, "bool": bool, "float": float, "object": object, "datetime": object}


def problems(kind, value, path, partial):
    """What the API would say of a value that should be of this type; `partial`: it is to be merged into another."""
    if found := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{path}: is no list"]
        return [each for i, item in enumerate(value) for each in problems(found[1], item, f"{path}[{i}]", partial)]
    if found := re.fullmatch(r"dict\(str, (.+)\)", kind):
        if not isinstance(value, dict):
            return [f"{path}: is no map"]
        return [each for key, item in value.items() for each in problems(found[1], item, f"{path}.{key}", partial)]
    if kind in PLAIN:
        fits = isinstance(value, PLAIN[kind]) and not (kind == "int" and isinstance(value, bool))
        return [] if fits else [f"{path}: {value!r} is no {kind}"]
    return problems_of_fields(getattr(client, kind), value, path, partial)


def problems_of_fields(model, value, path, partial):
    if not isinstance(value, dict):
        return [f"{path}: is no {model.__name__}"]
    fields = {name: attribute for attribute, name in model.attribute_map.items()}
    found = [f"{path}: {model.__name__} has no field {name}" for name in value if name not in fields]
    for name in value.keys() & fields.keys():
        found += problems(model.openapi_types[fields[name]], value[name], f"{path}.{name}", partial)
    if not found and not partial:
        try:
            model(**{fields[name]: item for name, item in value.items()})
        except ValueError as missing:
            found.append(f"{path}: {missing}")
    return found


def check(document, where, partial=False):
    key = (document.get("apiVersion"), document.get("kind"))
    if key not in MODELS:
        return [f"{where}: {key} is nothing that is known here"]
    found = problems_of_fields(MODELS[key], document, where, partial)
    if not found and not partial and document["kind"] == "DaemonSet":
        found = loose_ends(document["spec"], where)
    return found


def loose_ends(spec, where):
    """Names that lead nowhere, and limits below requests."""
    template = spec["template"]
    pod = template["spec"]
    found = []
    if not spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items():
        found.append("the selector does not fit the pods' labels")
    volumes = [volume["name"] for volume in pod["volumes"]]
    for container in pod["containers"]:
        mounts = [mount["name"] for mount in container["volumeMounts"]]
        if sorted(mounts) != sorted(volumes):
            found.append(f"mounts {mounts} are not the volumes {volumes}")
        ports = [port["name"] for port in container["ports"]]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container[probe]["httpGet"]["port"] not in ports:
                found.append(f"{probe} is of a port that has no such name")
        environment = {variable["name"] for variable in container["env"]}
        for name in re.findall(r"\$\((\w+)\)", " ".join(container["args"])):
            if name not in environment:
                found.append(f"$({name}) is not in the environment")
        for resource, limit in container["resources"]["limits"].items():
            if quantity(container["resources"]["requests"][resource]) > quantity(limit):
                found.append(f"more {resource} is requested than allowed")
    return [f"{where}: {each}" for each in found]


def quantity(text):
    number, unit = re.fullmatch(r"(\d+)(m|Ki|Mi|Gi|)", text).groups()
    return int(number) * {"m": 0.001, "": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]


def documents(path):
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def rendered(folder, components):
    """What kubectl makes of the folder with these components."""
    with tempfile.TemporaryDirectory() as work:
        shutil.copytree(folder, f"{work}/base")
        overlay = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": ["base"]}
        overlay["components"] = [f"base/{component}" for component in components]
        pathlib.Path(work, "kustomization.yaml").write_text(yaml.safe_dump(overlay))
        finished = subprocess.run(["kubectl", "kustomize", work], capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            sys.exit(finished.stderr)
        return [each for each in yaml.safe_load_all(finished.stdout) if each]


def main():
    folder = pathlib.Path(sys.argv[1])
    found = []
    for path in sorted(folder.rglob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        is_patch = path.parent != folder
        for document in documents(path):
            found += check(document, str(path), partial=is_patch)
    components = sorted(str(path.parent.relative_to(folder)) for path in folder.glob("runtimes/*/kustomization.yaml"))
    if shutil.which("kubectl"):
        for chosen in [[], *([each] for each in components), components]:
            where = "rendered " + (" + ".join(chosen) or "alone")
            these = rendered(folder, chosen)
            if sorted(each["kind"] for each in these) != ["DaemonSet", "Namespace", "ServiceAccount"]:
                found.append(f"{where}: something is missing")
            for document in these:
                found += check(document, where)
    else:
        print("kubectl is not here: the manifests are checked as they are, and not as kustomize renders them")
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
