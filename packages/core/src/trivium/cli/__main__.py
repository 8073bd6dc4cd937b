"""`python -m trivium.cli`, for those without the console script on their path."""

import sys

from trivium.cli.entry import main

sys.exit(main())
