"""The views of the page, one folder each, and how to write one.

A view is a folder of its name, and an entry in :data:`pipeline_assets.mart_page.app.VIEWS`:

- ``page.py``: ``<view>_ui(id, texts, formats)`` and ``<view>_server(id, page)``, a Shiny module;
- ``queries.py``: its queries, functions that take a psycopg2 cursor first and return plain dataclasses, Arrow or
  pandas. Names of tables and columns come only from :mod:`~pipeline_assets.mart_page.catalog` (``mart.sql``,
  ``column.sql``, ``mart.batch``), values go in as ``psycopg2.sql.Literal``, and ``execute`` gets no parameters: with
  parameters psycopg2 would read a ``%`` in a column's name as a placeholder. Tested against a real PostgreSQL;
- ``charts.py``: plotly figures of those values, wrapped in :class:`~pipeline_assets.mart_page.render.Picture` with a
  sentence that says the same; pure. Text from data goes through ``render.plain``. Figures set no colours for text, grid
  and background: the page does, light or dark. Whatever a colour says, a word, a sign or a position says as well;
- ``texts.en.yaml`` and ``texts.ru.yaml``: every text of the view, with the same keys.

The server function gets a :class:`~pipeline_assets.mart_page.page.Page`:

- ``page.route()``: reactive, what the page's address names (``task``, ``batch``, ``row``, and ``more`` for the view's
  own names); ``page.task()``: the ``TaskSpec`` of that task;
- ``await page.ask(query, *args)`` runs a query in a thread. If the server is down, the output is empty, the page says
  so and runs the query again by itself; a refusal is shown in the output. ``await page.mart(task, "predict_output")``
  reads the catalog; ``await page.work(function, *args)`` does the same for files, features and MLflow;
- ``page.texts("<view>")("key", n=3, name="…")``, ``page.formats.number(…)``, ``.share``, ``.moment``, ``.value``;
- ``page.links.dagster`` and ``.mlflow``: bases of their web interfaces; ``page.files``, ``page.settings``,
  ``page.schema``.

A view keeps its state in the address, so that people can link to it and use the browser's "back": a link is
``tags.a(..., href=page.route().at(view="passport", batch=b, row=r))``, a form is ``parts.form(route, ...)``; the page's
script follows both without loading the page again. Shiny's own inputs serve for what need not be in the address. Text
from data is shown as htmltools' children, which escape it; never as ``HTML`` or Markdown. Notices for empty views and
errors say what to do: ``parts.empty(what, do)``. Shiny itself shows that an output is being computed.

An output should depend on ``page.route()`` only through what it needs (with a ``reactive.calc`` in between): a hidden
view computes nothing, but a visible one computes again whenever the address changes.
"""
