"""Known vulnerabilities of the installed packages, by pip-audit: findings fail, a service out of reach is said.

pip-audit counts a package that the service does not answer for as skipped and ends well, so that without a network
nothing would look like everything. Here it is told how many were looked up.

    python scripts/build/audit_packages.py
"""

import json
import subprocess
import sys

# Findings that are known and let pass, each with the reason.
IGNORED: dict[str, str] = {}

_OWN = {"catbuilder", "horovod"}  # installed from here: no registry knows our build


def main() -> None:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]
    for name in IGNORED:
        command += ["--ignore-vuln", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"pip-audit: NOT DONE, the vulnerability service cannot be reached ({said[:200]})")
        return
    packages = [package for package in packages if package["name"] not in _OWN]
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, fault) for package in packages for fault in package.get("vulns", [])]
    for package, fault in found:
        mended = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    looked_up = len(packages) - len(skipped)
    if not looked_up:
        print(f"pip-audit: NOT DONE, the vulnerability service knows none of {len(skipped)} packages: no network?")
    else:
        left = f"; not known to the service: {', '.join(skipped)}" if skipped else ""
        print(f"pip-audit: {looked_up} packages looked up, {len(found)} findings{left}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
