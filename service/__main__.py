"""`python -m service`: serve what the RANKWRIGHT_* variables name."""

from __future__ import annotations

import sys

from ranking.errors import RankwrightError
from service.server.run import serve
from service.settings import Settings


def main() -> int:
    try:
        serve(Settings())
    except RankwrightError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # messages go to stderr
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
