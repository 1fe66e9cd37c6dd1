# ruff: noqa: E501 - the table of rows
"""Faults with real processes: servers are killed and stopped, databases taken away, connections
cut and clocks turned, while chargers of both transports charge.

::

    runs.py      a fleet, kills, other faults, and the verdict; `make faults` makes the long run
    fleet.py     the chargers          ledger.py    what they sent and were told, written first
    faults.py    what goes wrong       checker.py   compares that with the database
    site.py      the processes         audit.py     who owned whom, noted by triggers
    proxy.py     the network           databases.py databases that can be ended, stopped, filled
    wire.py      single chargers, for scenes told step by step: test_*.py

Which test shows which row of the list of faults (`test_rows.py` holds this table to the truth; the
tests named are examples, not all):

==== ==================================================== ========================================
Row  Fault                                                Shown by
==== ==================================================== ========================================
F1   kill -9 in a burst of transactions                   faults/test_runs.py::test_f1_short_run
                                                          test_serve.py::test_killed_in_a_burst
F2   committed, the answer lost                           faults/test_connections.py::test_f2_answer_lost_on_the_way
                                                          faults/test_connections.py::test_f2_soap_answer_lost
F3   database down, full, read-only                       faults/test_databases.py::test_f3_postgresql_goes_and_returns
                                                          faults/test_databases.py::test_f3_f18_sqlite_cannot_write
                                                          faults/test_databases.py::test_f3_disk_full_under_postgresql
F4   database slow                                        faults/test_databases.py::test_f4_slow_database
F5   StopTransaction again, or in conflict                services/test_stops.py::test_f5_conflicting_stop_keeps_the_first
F6   StopTransaction of an unknown transaction            services/test_stops.py::test_f6_one_open_transaction_fits
F7   another charger's transaction                        services/test_stops.py::test_f7_stop_of_another_chargers_transaction
                                                          services/test_meter_values.py::test_f7_readings_for_another_chargers_transaction
F8   replay of months offline                             services/test_transactions.py::test_f8_offline_sale_of_months_ago
F9   unknown idTag used offline                           services/test_transactions.py::test_f9_unknown_tag_leaves_evidence
F10  late CALLRESULT                                      operations/test_unknown.py::test_late_answer
F11  reconnect storm                                      faults/test_connections.py::test_f11_reconnect_storm
F12  half-open TCP                                        faults/test_connections.py::test_f12_half_open_connection
F13  second socket of one identity                        ocpp_json/test_connections.py::test_f13_authenticated_the_newest_wins
                                                          ocpp_json/test_connections.py::test_f13_a_dead_connection_is_replaced
F14  the paused gateway                                   faults/test_gateways.py::test_f14_paused_gateway_has_no_say
F15  kill -9 between command and answer                   faults/test_gateways.py::test_f15_killed_between_command_and_answer
F16  clocks that jump                                     faults/test_clocks.py::test_f16_clock_of_the_server_jumps
                                                          services/test_transactions.py::test_f16_unbelievable_clocks
F17  SOAP callback that is dead                           operations/test_dead_callbacks.py::test_the_dead_hold_up_nobody
F18  SQLite locked, killed, disk full                     faults/test_databases.py::test_f3_f18_sqlite_cannot_write
                                                          faults/test_databases.py::test_f3_f18_disk_full
F19  deploy with live sockets                             faults/test_gateways.py::test_f19_sigterm_answers_what_waits
F20  descriptors used up                                  faults/test_connections.py::test_f20_no_descriptors_left
F21  a transaction that never stops                       services/test_transactions.py::test_f21_a_new_start_ends_the_zombie
F22  natural key and clocks                               services/test_transactions.py::test_f22_stuck_in_1970_each_session_is_a_sale
==== ==================================================== ========================================
"""
