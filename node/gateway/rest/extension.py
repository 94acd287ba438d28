"""What a node with a gateway answers beside its own API: FHIR R4 and EPCIS 2.0."""

from collections.abc import Mapping

from aiohttp import web

from node.api.routing import Extension
from node.gateway.gateway import Gateway
from node.gateway.rest import exchange, refusals
from node.gateway.rest.epcis import exchange as epcis_exchange
from node.gateway.rest.epcis import refusals as epcis_refusals
from node.gateway.rest.epcis.routes import EPCIS_ROUTES
from node.gateway.rest.held import GATEWAY
from node.gateway.rest.routes import FHIR_ROUTES


def extension_of(gateway: Gateway) -> Extension:
    """All that `gateway` answers to."""

    def attach(app: web.Application) -> None:
        app[GATEWAY] = gateway

    async def reindex() -> Mapping[str, int]:
        records = await gateway.catalogue.rebuild()
        return {"records": records, "events": await gateway.supply.events.rebuild()}

    return Extension(
        (*FHIR_ROUTES, *EPCIS_ROUTES),
        {
            exchange.BASE: refusals.respond,
            epcis_exchange.BASE: epcis_refusals.respond,
        },
        attach,
        reindex,
    )
