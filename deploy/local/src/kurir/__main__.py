"""`python -m kurir`."""

from kurir.cli import main

main()
