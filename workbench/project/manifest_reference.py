# SPDX-License-Identifier: MIT
"""docs/manifest-reference.md, made from the published JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from koboshi.manifest import rules

HEAD = """\
<!-- SPDX-License-Identifier: MIT -->
<!-- Written by `PYTHONPATH=supervisor python3 -m workbench.project.manifest_reference`; a test compares. -->
# The manifest, key by key

This page is generated from the schema that `koboshi manifest schema` prints for editors.
[The manifest](manifest.md) has an example, and explains which keys belong together.

`version = 1` is required. The tables have all other keys.
"""
COLUMNS = "\n| key | type | default | meaning |\n|---|---|---|---|\n"
# What most strings match, in words.
PATTERNS = {
    r"^/[^\u0000]*$": "absolute path",
    r"^[^\u0000]*$": "string",
    r"^/[^\u0000]+$": "absolute path below /",
}
Schema = dict[str, Any]


def page() -> str:
    """The whole page."""
    schema: Schema = json.loads(Path(rules.__file__).with_name("schema.json").read_text("utf-8"))
    component = schema["$defs"]["component"]
    parts = [HEAD, "\n## `[device]`\n\n", schema["properties"]["device"]["description"], "\n", COLUMNS]
    parts += rows(schema["properties"]["device"], "")
    parts += ["\n## `[component.NAME]`\n\n", _names(schema), COLUMNS]
    parts += rows(component, "")
    return "".join(parts)


def rows(table: Schema, prefix: str) -> Iterator[str]:
    """A line for each key; keys of inner tables as `table.key`."""
    required = set(table.get("required", ()))
    for key, rule in table["properties"].items():
        if "properties" in rule:
            yield f"| `{prefix}{key}` | table | | {_cell(rule.get('description', ''))} |\n"
            yield from rows(rule, f"{prefix}{key}.")
        else:
            default = "required" if key in required else _default(rule)
            cells = (kind(rule), default, rule["description"])
            yield f"| `{prefix}{key}` | " + " | ".join(map(_cell, cells)) + " |\n"


def kind(rule: Schema) -> str:
    """The type with its limits, in words."""
    if "enum" in rule:
        return " or ".join(f"`{json.dumps(value)}`" for value in rule["enum"])
    if "anyOf" in rule or "oneOf" in rule:
        return " or ".join(kind(option) for option in rule.get("anyOf") or rule["oneOf"])
    match rule.get("type"):
        case "array":
            return _array(rule)
        case "object":
            return "table" + _of(rule.get("additionalProperties"))
        case "integer" | "number":
            return f"{rule['type']}{_range(rule)}"
    if "const" in rule:
        return f"`{json.dumps(rule['const'])}`"
    if "pattern" in rule:
        return PATTERNS.get(rule["pattern"], f"string matching `{rule['pattern']}`")
    return str(rule.get("type", "any"))


def _array(rule: Schema) -> str:
    least, most = rule.get("minItems"), rule.get("maxItems")
    count = f", at least {least}" if least else ""
    return f"array{_of(rule.get('items'))}{count}" + (f", at most {most}" if most else "")


def _of(rule: Schema | None) -> str:
    return f" of {kind(rule)}" if rule else ""


def _range(rule: Schema) -> str:
    low, above, high = (rule.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    least = f" >= {low:g}" if low is not None else f" > {above:g}" if above is not None else ""
    # The greatest that any key takes says nothing about this one.
    usual = (rules.MAX_SECONDS, rules.MAX_COUNT)
    return least + (f", <= {high:g}" if high is not None and high not in usual else "")


def _default(rule: Schema) -> str:
    return f"`{json.dumps(rule['default'])}`" if "default" in rule else ""


def _names(schema: Schema) -> str:
    names = schema["properties"]["component"]["propertyNames"]
    own = " or ".join(f"`{name}`" for name in names["not"]["enum"])
    return f"`NAME` matches `{names['pattern']}`, and is not {own}.\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs/manifest-reference.md").write_text(page(), encoding="utf-8")
