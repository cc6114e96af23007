"""``python -m nuke_standin -t script.py`` and ``-x script.nk``."""

from __future__ import annotations

import sys

from nuke_standin.launch import main

sys.exit(main())
