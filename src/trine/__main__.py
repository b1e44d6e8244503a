"""`python -m trine`."""

from trine.cli import main

main()
