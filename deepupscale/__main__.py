"""``python -m deepupscale``."""

from deepupscale.cli import main

main()
