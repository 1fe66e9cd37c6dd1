"""Many processes as one central system: gateways, web processes, PostgreSQL, Redis and HAProxy.

::

    site.py       the processes and what stands between them       fleet.py    300 mixed chargers
    test_wide.py  kills and additions while commands run
"""
