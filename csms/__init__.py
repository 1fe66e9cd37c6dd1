"""The central system: shared models, services, admin; the edges live in ocpp_json and ocpp_soap."""
