"""The OCPP-S edge: SOAP 1.2 over HTTP, for charge points of OCPP 1.6."""
