"""`python -m inspection.supervisor`. An old Python must be able to read this file."""

from __future__ import annotations

import sys

OLDEST = (3, 11)


def complaint(version: tuple[int, ...]) -> str:
    """Return what to say to this version of Python; nothing where it will do."""
    if version[:2] >= OLDEST:
        return ""
    wanted, found = (".".join(map(str, numbers[:2])) for numbers in (OLDEST, version))
    return f"Loupe needs Python {wanted} or newer; this is {found}. Install a newer one."


def main() -> int:
    said = complaint(tuple(sys.version_info[:2]))
    if said:
        sys.stderr.write(said + "\n")
        return 1
    from inspection.environment import SettingError

    try:
        from inspection.supervisor import run
    except SettingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return run.main()


if __name__ == "__main__":
    sys.exit(main())
