#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What Prometheus makes of pods as the DaemonSet has them, by the rules of kubernetes.yml. Debian's Prometheus does not ask
Kubernetes, so the pods come from a file; promtool tells the targets.

  tests/deploy/scrape.py tools/deploy
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

JOB = "vethtrace"
# Of pods: their address, their node's name, and the target that is expected; null: none.
PODS = [
    ("10.0.0.7", "node-7", "10.0.0.7:9954"),
    ("fd00::7", "node-8", "[fd00::7]:9954"),
    ("10.0.0.9", "node-9", None),  # of another DaemonSet's
]


def meta_labels(address, node, annotations):
    """As Prometheus names what it learns of a pod."""
    labels = {"__meta_kubernetes_pod_ip": address, "__meta_kubernetes_pod_node_name": node}
    for name, value in annotations.items():
        labels["__meta_kubernetes_pod_annotation_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)] = value
    return labels


def main():
    deploy = pathlib.Path(sys.argv[1])
    daemon_set = yaml.safe_load((deploy / "kubernetes/daemonset.yaml").read_text())
    annotations = daemon_set["spec"]["template"]["metadata"]["annotations"]
    config = yaml.safe_load((deploy / "prometheus/kubernetes.yml").read_text())
    (job,) = (each for each in config["scrape_configs"] if each["job_name"] == JOB)
    asked = job.pop("kubernetes_sd_configs")
    if asked != [{"role": "pod", "namespaces": {"names": [daemon_set["metadata"]["namespace"]]}}]:
        sys.exit(f"other pods are asked for than the DaemonSet's: {asked}")

    with tempfile.TemporaryDirectory() as work:
        groups = [
            {"targets": [f"{i}"], "labels": meta_labels(address, node, annotations if target else {})}
            for i, (address, node, target) in enumerate(PODS)
        ]
        pathlib.Path(work, "pods.json").write_text(json.dumps(groups))
        job["file_sd_configs"] = [{"files": ["pods.json"]}]
        config["rule_files"] = [str((deploy / "prometheus" / name).resolve()) for name in config["rule_files"]]
        path = pathlib.Path(work, "prometheus.yml")
        path.write_text(yaml.safe_dump(config))
        subprocess.run(["promtool", "check", "config", path], check=True, stdout=subprocess.DEVNULL)
        found = subprocess.run(
            ["promtool", "check", "service-discovery", "--timeout=1s", path, JOB],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    targets = {
        (labels["__address__"], labels["__metrics_path__"], labels["instance"])
        for each in json.loads(found.stdout)
        if (labels := each.get("labels"))
    }
    expected = {(target, "/metrics", node) for _, node, target in PODS if target}
    if targets != expected:
        sys.exit(f"targets are {targets}, and not {expected}")


if __name__ == "__main__":
    main()
