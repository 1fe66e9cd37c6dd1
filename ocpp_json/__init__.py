"""The OCPP-J 1.6 edge: WebSocket connections of charge points.

`frames` and `session` are the protocol without I/O; `connection`, `server` and `delivery` are
thin shells around them that read, write and wait.
"""
