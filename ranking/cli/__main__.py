"""`python -m ranking.cli`: the `rankwright` command."""

from ranking.cli import main

main()
