"""How much a test does that can be made as long as one likes.

Without the environment of `scripts/campaign` it is what the suite has time for.
"""

import os

ROUNDS_VARIABLE = "CAMPAIGN_ROUNDS"
SEED_VARIABLE = "CAMPAIGN_SEED"


def rounds(in_the_suite: int) -> int:
    """How often to do it."""
    return int(os.environ.get(ROUNDS_VARIABLE, str(in_the_suite)))


def seed() -> int:
    """Where chance begins; the suite always begins in the same place."""
    return int(os.environ.get(SEED_VARIABLE, "1"))
