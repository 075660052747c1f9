"""What the page draws: plotly figures from values, a module a view; nothing is asked or read here."""
