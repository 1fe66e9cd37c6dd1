"""The doors for files: firmware out, diagnostics and logs in, over HTTP and FTP."""
