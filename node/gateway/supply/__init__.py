"""Events of EPCIS in the gateway: captured, indexed, asked for, sent to who subscribed."""
