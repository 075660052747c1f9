"""What the page asks of the marts: functions over a cursor, a module a view; identifiers come from the catalogue."""
