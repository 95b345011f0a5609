"""Entry of ``python -m models_runtime``."""

import sys

from models_runtime.cli.main import main

sys.exit(main())
