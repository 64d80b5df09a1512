"""`python -m humanseg_cli`, the same as `humanseg`."""

from humanseg_cli.app import main

main()
