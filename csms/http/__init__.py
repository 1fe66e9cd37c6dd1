"""The HTTP server: uvicorn as a library, with the limits and the TLS that it lacks."""
