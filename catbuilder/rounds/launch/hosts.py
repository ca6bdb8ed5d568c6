"""Read the option `--hosts`: `node1:4,node2:4` means four processes on each of two machines."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from catbuilder.core.errors import InputError

# A name or an IPv4 address; none begins with a dash, which ssh would take for an option.
_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*):([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Host:
    """A machine and its number of processes."""

    name: str
    slots: int

    def __str__(self) -> str:
        return f"{self.name}:{self.slots}"


def parse_hosts(text: str) -> tuple[Host, ...]:
    """Read `node1:4,node2:4`; an empty text means that everything runs on this machine.

    Raises
    ------
    InputError
        A part is not NAME:PROCESSES, or a host is named twice.
    """
    hosts = []
    for part in text.split(",") if text else ():
        found = _HOST.fullmatch(part.strip())
        if not found:
            raise InputError(
                f"--hosts: '{part.strip()}' is not a host and its number of processes; "
                "give them as in --hosts node1:4,node2:4"
            )
        hosts.append(Host(found[1], int(found[2])))
    names = [host.name for host in hosts]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--hosts: {name} is named twice; give the sum of its processes once")
    return tuple(hosts)


def ranks_on(hosts: str, ranks: int | None) -> int:
    """Count the processes: those of the hosts, else `ranks`, else one.

    Raises
    ------
    InputError
        Hosts and `ranks` disagree.
    """
    if not hosts:
        return 1 if ranks is None else ranks
    slots = sum(host.slots for host in parse_hosts(hosts))
    if ranks not in (None, slots):
        raise InputError(f"--hosts {hosts} has {slots} processes and not {ranks}; leave --np out")
    return slots


def hosts_text(hosts: Iterable[Host]) -> str:
    """Write hosts as text, the inverse of `parse_hosts`."""
    return ",".join(map(str, hosts))


def assign_to_hosts(hosts: str, ranks: int) -> list[tuple[str, int]]:
    """List (host, number on that host) of each process; without hosts all run on this machine, named ''."""
    if not hosts:
        return [("", number) for number in range(ranks)]
    return [(host.name, number) for host in parse_hosts(hosts) for number in range(host.slots)]
