"""Simulated OCPP 1.6 charge points over JSON and SOAP: for demonstrations, tests, benchmarks.

A simulator must not agree with the server by construction, so it shares nothing with it but the
declarations in csms.ocpp: its WebSocket client, envelopes and SOAP server are its own.

::

    fleet.py        many charge points, bounded in time
    session.py      a charging session, plug to unplug
    charge_point.py the charge point: what it sends; state.py, configuration.py, profiles.py,
                    meter.py what it knows; outbox.py what it still has to deliver
    operations*.py  what it answers to the central system's calls
    transport.py    what a transport is: json.py, soap.py (with envelopes.py, soap_server.py)
    journal.py      what was sent and acknowledged, to be compared with the database
    misbehaviour.py how to make it misbehave
"""
