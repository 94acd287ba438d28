"""How much a test does that can be made as long as one likes.

Without the environment of `scripts/campaign` it is what the suite has time for.
"""

import os

from hypothesis import HealthCheck, Phase, settings

ROUNDS_VARIABLE = "CAMPAIGN_ROUNDS"
SEED_VARIABLE = "CAMPAIGN_SEED"
EXAMPLES_VARIABLE = "CAMPAIGN_EXAMPLES"


def rounds(in_the_suite: int) -> int:
    """How often to do it."""
    return int(os.environ.get(ROUNDS_VARIABLE, str(in_the_suite)))


def seed() -> int:
    """Where chance begins; the suite always begins in the same place."""
    return int(os.environ.get(SEED_VARIABLE, "1"))


def examples(in_the_suite: int) -> int:
    """How many inputs a fuzzing test tries."""
    return int(os.environ.get(EXAMPLES_VARIABLE, str(in_the_suite)))


def budget(in_the_suite: int) -> settings:
    """Hypothesis' settings: in the suite always the same few inputs, in a campaign many others."""
    return settings(
        max_examples=examples(in_the_suite),
        deadline=None,
        derandomize=EXAMPLES_VARIABLE not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def machine(in_the_suite: int, steps: int) -> settings:
    """`budget` for a machine that takes so many steps. A story that fails is told by the suite as
    it was found, and comes again each time; a campaign takes the minutes to make it short."""
    phases = tuple(Phase) if EXAMPLES_VARIABLE in os.environ else (Phase.generate,)
    return settings(budget(in_the_suite), stateful_step_count=steps, phases=phases, print_blob=True)
