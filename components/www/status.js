// SPDX-License-Identifier: MIT
// Shows /run/koboshi/status.json and the pilot's file, read again each second. No library, no build step.
"use strict";

const PERIOD_MS = 1000;
const HEADINGS = ["State", "Restarts", "Last cause", "Latency", "Back after", "PID"];
const GOOD = ["ready", "running"];
const BAD = ["given-up"];

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function duration(microseconds) {
  if (microseconds === null || microseconds === undefined) return "–";
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1000000) return `${(microseconds / 1000).toFixed(1)} ms`;
  return `${(microseconds / 1000000).toFixed(2)} s`;
}

function tone(state) {
  if (GOOD.includes(state)) return "good";
  return BAD.includes(state) ? "bad" : "busy";
}

function row(name, component) {
  const made = document.createElement("tr");
  const heading = element("th", name);
  heading.scope = "row";
  made.append(heading);
  const restarts = component.restarts || { warm: 0, cold: 0 };
  const level = component.level && component.generation > 0 ? ` (${component.level})` : "";
  const cells = [
    [component.state, tone(component.state)],
    [`${restarts.warm} warm, ${restarts.cold} cold`],
    [component.cause && component.cause !== "none" ? component.cause + level : "–"],
    [duration(component.latency_us)],
    [duration(component.downtime_us)],
    [component.pid ?? "–"],
  ];
  cells.forEach(([text, className], index) => {
    const cell = document.createElement("td");
    cell.dataset.heading = HEADINGS[index];
    cell.append(element("span", String(text), className));
    made.append(cell);
  });
  return made;
}

function showStatus(status) {
  const components = Object.entries(status.components || {});
  const ready = components.filter(([, one]) => one.state === "ready").length;
  const starts = status.supervisor.start;
  byId("summary").textContent =
    `${ready} of ${components.length} ready · boot ${status.boot_id} · ` +
    (starts > 1 ? `supervisor started ${starts} times, device once` : "supervisor never restarted");
  byId("components").replaceChildren(...components.map(([name, one]) => row(name, one)));
}

function pilotLines(pilot) {
  const lines = [];
  const { position, bridge, tide } = pilot;
  if (position) {
    lines.push(["Position", `${position.latitude.toFixed(4)}, ${position.longitude.toFixed(4)}`]);
    lines.push(["Time", position.time]);
    lines.push(["Speed", `${position.speed_kn.toFixed(1)} kn, course ${Math.round(position.course)}°`]);
  }
  if (bridge) lines.push(["Golden Gate Bridge", `${bridge.distance_nm} nm, bearing ${bridge.bearing}°`]);
  if (tide) {
    lines.push(["Tide", `${tide.height_m.toFixed(2)} m, ${tide.trend}`]);
    lines.push(["Next", `${tide.next.kind} water ${tide.next.height_m.toFixed(2)} m at ${tide.next.time}`]);
  }
  if (pilot.clearance_m !== null) lines.push(["Room under the bridge", `${pilot.clearance_m} m`]);
  if (pilot.missing.length) lines.push(["Waiting for", pilot.missing.join(", ")]);
  return lines;
}

function showPilot(pilot) {
  const parts = pilotLines(pilot).flatMap(([term, text]) => [element("dt", term), element("dd", text)]);
  byId("pilot").replaceChildren(...parts);
}

async function read(url) {
  const answer = await fetch(url, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}

async function update(url, show, missing) {
  try {
    show(await read(url));
    return null;
  } catch (error) {
    return `${missing} (${error.message})`;
  }
}

async function refresh() {
  const problems = await Promise.all([
    update("status.json", showStatus, "No state: the device does not answer, or its supervisor has not written it yet."),
    update("pilot.json", showPilot, "No word from the pilot yet."),
  ]);
  const found = problems.filter(Boolean);
  byId("problem").hidden = found.length === 0;
  byId("problem").textContent = found.join(" ");
  setTimeout(refresh, PERIOD_MS);
}

refresh();
