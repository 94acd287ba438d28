"""Transforming: inputs are used up, outputs come to be (EPCIS 2.0, transformation events).

Inputs exist in full, and nothing holds them: what is recalled is not made into something that is
not. Outputs are their manufacturer's. How much comes of how much is nobody's rule here, as the
units of different products do not compare.
"""

from ledger.supply.commissioning import make
from ledger.supply.course import Course
from ledger.supply.finishing import finish_all


def transform(course: Course) -> None:
    """The inputs of an event are consumed, its outputs commissioned."""
    finish_all(course, "consumed", before=("active",))
    course.settle()
    action = course.action
    make(course, action.outputs, action.output_quantities, "outputs", "output_quantities")
