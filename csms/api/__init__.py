"""The REST API under /api/v1/, one file for each subject; it asks the services, decides nothing."""
