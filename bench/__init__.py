"""`make bench`: what this central system does in a second, beside what others do in the same run.

::

    scenarios.py   one function a scenario: starts servers, drives them, returns measurements
    latency.py     … a Heartbeat beside other work
    growth.py      … the same with a large fleet and full tables, which filling.py makes
    defence.py     … reconnect storm and attacks
    pages.py       the admin's pages, timed inside the server
    profiles.py    where the time goes: docs/profiles
    children.py    every process that is started, and its end
    load/          load generators, each in a process of its own: frames of bytes, no library
    peers/         what we compare with: the packages `ocpp`, `spyne` and `websockets`
    report.py      the table, the verdicts, docs/performance.md
"""
