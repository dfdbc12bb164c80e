"""`python -m facelearn` is the `facelearn` command."""

from facelearn.cli import main

main()
