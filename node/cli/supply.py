"""`medlock supply`: goods, from where they are made to whom they are given to."""

import click

from node.cli.supply_capture import capture
from node.cli.supply_patients import patients
from node.cli.supply_quality import excursion, quarantine, recall, suspect, verification
from node.cli.supply_reads import alerts, locate, trace, verify
from node.cli.supply_registers import party, product
from node.cli.supply_simulate import simulate


@click.group()
def supply() -> None:
    """Capture, find, trace, verify and recall goods.

    Things are named by a barcode's element string ("(01)…(21)…"), an EPC URN, a GS1 Digital Link,
    or the path of one.
    """


for _command in (
    capture,
    locate,
    trace,
    verify,
    alerts,
    recall,
    product,
    party,
    quarantine,
    excursion,
    suspect,
    verification,
    simulate,
):
    supply.add_command(_command)
recall.add_command(patients)
