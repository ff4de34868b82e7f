"""The wire: pages, the log-in, the files of the pages."""
