# SPDX-License-Identifier: MIT
"""Process stressors of stress-ng beside rfork groups, in a guest: restarts go on, the kernel says nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from koboshi_desk.console.findings import Finding
from koboshi_desk.core.deadline import slow_factor
from koboshi_desk.core.errors import KoboshiError
from workbench.core import progress
from workbench.guest.booted import Guest
from workbench.guest.qemu import Options
from workbench.image import programs
from workbench.image import quick as quickimage
from workbench.kernel import lines
from workbench.trial import conformance, verdicts
from workbench.trial.verdicts import Column, Verdict

# What makes, ends, traces and signals processes, one or two of each kind.
STRESSORS = (
    "--fork 2 --vfork 1 --clone 1 --daemon 1 --zombie 1 --kill 1 --pthread 1 "
    "--wait 1 --ptrace 1 --sigsegv 1 --sigfpe 1 --forkheavy 1 --session 1 --pidfd 1"
)
USERS_STRESSORS = "--exec 1 --spawn 1"  # which do nothing for root
# Groups of all kinds; without those that want a machine of their own: all its memory, its PIDs in a row.
BEHAVIOURS = (
    "t_request,t_real_errors,t_pristine,t_state,t_attributes,t_thread_crash,t_nested,t_kick,"
    "t_stop,t_exec,t_wait_order,t_exit_signal,t_checkpoint,t_owner,t_descriptions,t_registers"
)
LOG = "/tmp/stress-ng.log"
# The kernel bounds the tasks by its memory, and with 256 MB the shell could not fork beside the stressors.
MEMORY_MB = 2048


@dataclass
class Report:
    """What came of it."""

    rounds: int = 0
    passed: int = 0
    failed: list[Verdict] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    stress: str = ""

    @property
    def text(self) -> str:
        """For people."""
        failures = [f"  failed: {item.behaviour}: {item.reason}" for item in self.failed]
        findings = [f"  the kernel said: {finding}" for finding in self.findings]
        head = f"stress: {self.rounds} rounds of behaviours beside stress-ng, {self.passed} passed"
        return "\n".join([head, *failures, *findings, self.stress])


def run(minutes: float, line: str = lines.DEFAULT_LINE) -> int:
    """Run both for some minutes; return 1 if a behaviour failed or the kernel log has a finding."""
    tests = conformance.build_tests(only=BEHAVIOURS, backend="kernel")
    extra = {f"{conformance.FOLDER}/{path.name}": path for path in tests.files}
    extra |= programs.find("stress-ng", "stress-ng")
    report = Report()
    with Guest(quickimage.build(extra=extra, line=line), Options(memory_mb=MEMORY_MB)) as guest:
        guest.boot()
        _beside(guest, tests, minutes * 60, report)
        report.findings = guest.verdict()
    print(report.text)
    return 1 if report.failed or report.findings else 0


def _beside(guest: Guest, tests: conformance.Tests, seconds: float, report: Report) -> None:
    """Rounds of behaviours until stress-ng has ended by itself."""
    options = f"--timeout {seconds:.0f} --metrics-brief --oom-avoid"
    # forkheavy takes all of root's 128 inotify instances, of which t_descriptions wants one.
    guest.shell.run("echo 100000 >/proc/sys/fs/inotify/max_user_instances")
    guest.shell.run("mkdir -p /tmp/s /tmp/u && chown nobody /tmp/u")
    root = f"cd /tmp/s && stress-ng {STRESSORS} {options}"
    user = f"cd /tmp/u && su nobody -s /bin/sh -c 'stress-ng {USERS_STRESSORS} {options}'"
    guest.shell.run(f"(({root}) & ({user}); wait; echo ended) >{LOG} 2>&1 &")
    while not guest.shell.run(f"tail -n 1 {LOG}", 120.0).output.startswith("ended"):
        _one_round(guest, tests, report)
        progress.note(f"stress: {report.passed} passed, {len(report.failed)} failed")
    report.stress = guest.shell.run(f"cat {LOG}", 60.0).output
    if report.stress.count("successful run completed") != 2:
        raise KoboshiError(f"stress-ng did not do its work:\n{report.stress}")


def _one_round(guest: Guest, tests: conformance.Tests, report: Report) -> None:
    limit = int(600 * slow_factor())
    command = f"sh {conformance.FOLDER}/run-tests --backend kernel --limit {limit} --programs"
    said = guest.shell.run(command, 3600.0, check=False).output
    found = verdicts.from_table(said, Column("kernel", "stress"))
    report.rounds += 1
    report.passed += sum(item.verdict == verdicts.PASSED for item in found)
    report.failed += [item for item in found if item.verdict == verdicts.FAILED]
    if len(found) != len(tests.names):
        raise KoboshiError(f"stress: {len(found)} verdicts of {len(tests.names)} tests:\n{said}")
