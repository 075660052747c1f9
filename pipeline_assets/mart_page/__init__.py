"""The web page of the marts: what went in, what came out, and how the two are tied. Shiny; only reads."""
