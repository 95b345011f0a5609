#!/usr/bin/env python
"""Django's command line for Loupe."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "inspection.settings")
    from django.core.management import execute_from_command_line

    from inspection.supervisor.command_line import servers_for

    with servers_for(sys.argv):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
