# ruff: noqa: E501 - the table of rows
"""Faults with real processes: servers are killed and stopped, databases taken away, connections
cut and clocks turned, while chargers of both transports charge.

::

    runs.py      a fleet, kills, other faults, and the verdict; `make faults` makes the long run
    fleet.py     the chargers          ledger.py    what they sent and were told, written first
    faults.py    what goes wrong       checker.py   compares that with the database
    site.py      the processes         audit.py     who owned whom, noted by triggers
    proxy.py     the network           databases.py databases that can be ended, stopped, filled
    clocks.py    the time of day       test_broken_builds.py  what a run finds wrong with a bad build
    wire.py      single chargers, for scenes told step by step: test_*.py
    edges.py     single chargers at the edges of a system in this process, of either transport
    orders.py    charge points in any order: what must hold; draws.py: what they may say

Which test shows which row of the list of faults (`test_rows.py` holds this table to the truth; the
details of a rule are tested where the rule is, in tests/services). Over: OCPP-J, OCPP-S. On: SQLite,
PostgreSQL.

==== ========================================= ==== == ========================================
Row  Fault                                     Over On Shown by
==== ========================================= ==== == ========================================
F1   kill -9 in a burst of transactions        JS   sp faults/test_runs.py::test_f1_short_run
                                                      test_serve.py::test_killed_in_a_burst
F2   committed, the answer lost                JS   sp faults/test_connections.py::test_f2_answer_lost_on_the_way
                                                      faults/test_connections.py::test_f2_soap_answer_lost
F3   database down, full, read-only            JS   sp faults/test_databases.py::test_f3_postgresql_goes_and_returns
                                                      ocpp_json/test_handshake.py::test_f3_a_full_inbox_is_503_for_new_connections_only
                                                      ocpp_soap/test_asgi.py::test_f3_also_when_the_queue_is_full
                                                      faults/test_databases.py::test_f3_f18_sqlite_cannot_write
                                                      faults/test_databases.py::test_f3_disk_full_under_postgresql
F4   database slow                             JS   sp faults/test_databases.py::test_f4_slow_database
                                                      ocpp_soap/test_waiting.py::test_f4_what_is_not_answered_in_time_is_503
                                                      services/test_inbox_worker.py::test_f4_the_queue_is_bounded
F5   StopTransaction again, or in conflict     JS   sp faults/test_transactions.py::test_f5_stop_again
                                                      faults/test_transactions.py::test_f5_conflicting_stop
                                                      faults/test_transactions.py::test_f5_stops_that_overtake_each_other
F6   StopTransaction of an unknown transaction JS   sp faults/test_transactions.py::test_f6_stop_of_nothing
                                                      faults/test_transactions.py::test_f6_one_open_transaction_fits
                                                      faults/test_transactions.py::test_f6_it_does_not_fit
                                                      faults/test_transactions.py::test_f6_two_fit
F7   another charger's transaction             JS   sp faults/test_transactions.py::test_f7_another_charge_points_transaction
F8   replay of months offline                  JS   sp faults/test_transactions.py::test_f8_replay_of_months
                                                      faults/test_transactions.py::test_f8_status_in_the_order_of_arrival
F9   unknown idTag used offline                JS   sp faults/test_transactions.py::test_f9_unknown_tag
F10  late CALLRESULT                           J    sp faults/test_sockets.py::test_f10_late_answer_is_matched_to_no_other_call
                                                      operations/test_unknown.py::test_late_answer
F11  reconnect storm                           J    sp faults/test_connections.py::test_f11_reconnect_storm
F12  half-open TCP                             J    sp faults/test_connections.py::test_f12_half_open_connection
F13  second socket of one identity             J    sp faults/test_sockets.py::test_f13_profile_0_keeps_the_connection_that_lives
                                                      faults/test_sockets.py::test_f13_profile_1_the_newest_connection_wins
                                                      ocpp_json/test_connections.py::test_f13_a_dead_connection_is_replaced
                                                      ocpp_json/test_connections.py::test_f13_a_flapping_charger_keeps_what_it_has
F14  the paused gateway                        J    p  faults/test_gateways.py::test_f14_paused_gateway_has_no_say
F15  kill -9 between command and answer        JS   sp faults/test_gateways.py::test_f15_killed_between_command_and_answer
                                                      operations/test_killed.py::test_killed_between_a_command_and_its_answer
F16  clocks that jump                          JS   sp faults/test_clocks.py::test_f16_clock_of_the_server_jumps
                                                      faults/test_transactions.py::test_f16_clock_of_the_charge_point
                                                      faults/test_runs.py::test_f1_short_run
F17  SOAP callback that is dead                S    sp operations/test_dead_callbacks.py::test_the_dead_hold_up_nobody
                                                      operations/test_dead_callbacks.py::test_it_is_tried_again_at_the_next_contact
                                                      ocpp_soap/test_delivery.py::test_f17_dead_callbacks_delay_nobody
F18  SQLite locked, killed, disk full          JS   s  faults/test_databases.py::test_f3_f18_sqlite_cannot_write
                                                      faults/test_databases.py::test_f3_f18_disk_full
F19  deploy with live sockets                  JS   sp faults/test_gateways.py::test_f19_sigterm_answers_what_waits
F20  descriptors used up                       JS   sp faults/test_connections.py::test_f20_no_descriptors_left
F21  a transaction that never stops            JS   sp faults/test_transactions.py::test_f21_another_start_ends_it
                                                      faults/test_transactions.py::test_f21_nothing_else_ends_it
F22  natural key and clocks                    JS   sp faults/test_transactions.py::test_f22_natural_key
                                                      faults/test_transactions.py::test_f22_stuck_in_1970
==== ========================================= ==== == ========================================

Not over both, and not on both:

- F10, F11, F12, F13, F14 over SOAP: an answer belongs to its HTTP exchange, a connection to nobody.
- F17 over JSON: there is no callback. F14 on SQLite: there is one process. F18 is SQLite's.
"""
