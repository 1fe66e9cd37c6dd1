"""OCPP 1.6 as data: every message declared once. Pure: standard library and msgspec only."""
