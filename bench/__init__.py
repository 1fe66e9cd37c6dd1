"""`make bench`: what this central system does in a second, beside what others do in the same run.

::

    scenarios.py   one function a scenario: starts servers, drives them, returns measurements
    children.py    every process that is started, and its end
    load/          load generators, each in a process of its own: frames of bytes, no library
    peers/         what we compare with: the packages `ocpp`, `spyne` and `websockets`
    report.py      the table, the verdicts, docs/performance.md
"""
