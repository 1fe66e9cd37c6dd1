"""Load generators: lean enough that the server beside them is what is measured."""
