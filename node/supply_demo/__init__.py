"""Made-up goods: names, events of EPCIS and whole supply chains, for stories and volumes."""
