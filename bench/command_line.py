"""What the command lines of all benchmarks share: `--help` with units and defaults, and one sentence for bad input."""

import argparse
import sys
from collections.abc import Callable

from ndns.errors import UserError


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description; adds the default where an option has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_default = action.option_strings and action.default not in (None, False, argparse.SUPPRESS, [])
        return f"{action.help} (default: %(default)s)" if has_default else action.help


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser whose `--help` begins with the benchmark's docstring."""
    return argparse.ArgumentParser(description=description, formatter_class=_Help)


def run(main: Callable[[], int | None]) -> None:
    """Run a benchmark; bad input ends with one sentence and exit code 2, as that of `ndns`."""
    try:
        sys.exit(main())
    except UserError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(2)
