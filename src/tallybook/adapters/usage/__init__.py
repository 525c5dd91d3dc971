"""Where metered usage is kept: hourly cells with the log position they have reached."""
