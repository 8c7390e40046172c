# SPDX-License-Identifier: MIT
"""A bill of materials in CycloneDX's form, from what Buildroot's `make show-info` says.

Releases of Buildroot from 2025 on have a generator of their own; this one serves older ones as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMAT = {"bomFormat": "CycloneDX", "specVersion": "1.5"}


def document(name: str, info: Mapping[str, Any]) -> dict[str, object]:
    """The bill: the image, and each package that is a part of it or that built it."""
    packages = {key: value for key, value in info.items() if value.get("type") in ("target", "host")}
    real = {key: value for key, value in packages.items() if not value.get("virtual")}
    return {
        **FORMAT,
        "version": 1,
        "metadata": {"component": {"bom-ref": name, "type": "firmware", "name": name}},
        "components": [_component(key, value) for key, value in sorted(real.items())],
        "dependencies": [_dependencies(key, value, real) for key, value in sorted(real.items())],
    }


def _component(key: str, value: Mapping[str, Any]) -> dict[str, object]:
    component: dict[str, object] = {
        "bom-ref": key,
        "type": "library",
        "name": value.get("name", key),
        # What only built the image is not in it.
        "scope": "required" if value["type"] == "target" else "excluded",
    }
    if version := value.get("version"):
        component["version"] = version
    if licences := value.get("licenses"):
        component["licenses"] = [{"license": {"name": licences}}]
    if cpe := value.get("cpe-id"):
        component["cpe"] = cpe
    if found := _downloads(value):
        component["externalReferences"] = [{"type": "source-distribution", "url": url} for url in found]
    return component


def _downloads(value: Mapping[str, Any]) -> list[str]:
    """Where each file comes from: the first place in the network, without Buildroot's mark (`https+`)."""
    found = []
    for download in value.get("downloads", []):
        places = [uri.partition("+")[2] for uri in download.get("uris", [])]
        if network := [place for place in places if place.startswith(("http", "ftp"))]:
            found.append(f"{network[0]}/{download['source']}")
    return found


def _dependencies(key: str, value: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, object]:
    return {"ref": key, "dependsOn": sorted(set(value.get("dependencies", [])) & set(known))}
