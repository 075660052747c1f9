"""The views of the page, a folder each, and how one is written.

A view is a folder of its name, and a line in :data:`pipeline_assets.mart_page.app.VIEWS`:

- ``page.py``: ``<view>_ui(id, texts, formats)`` and ``<view>_server(id, page)``, a Shiny module;
- ``queries.py``: what it asks, as functions whose first argument is a psycopg2 cursor and which return plain
  dataclasses, Arrow or pandas. Values are parameters (``%s``); names of tables and columns come from
  :mod:`~pipeline_assets.mart_page.catalog` alone (``mart.sql``, ``column.sql``), composed by ``psycopg2.sql``.
  Tested against a real PostgreSQL;
- ``charts.py``: plotly figures of those values, wrapped in :class:`~pipeline_assets.mart_page.render.Picture`
  with the words that say the same; pure. Text from data goes through ``render.plain``. No colours for text, grid and
  background: the page gives them, light or dark. Colour is never alone: there is a word, a sign or a place as well;
- ``texts.en.yaml`` and ``texts.ru.yaml``: every word that the view says, by the same keys.

What the server gets is a :class:`~pipeline_assets.mart_page.page.Page`:

- ``page.place()``: reactive, where the reader is (``task``, ``batch``, ``row``, and ``more`` for the view's own);
  ``page.task()``: the ``TaskSpec`` of it;
- ``await page.ask(query, *args)``: runs a query in a thread. A server that is down empties the output, the shell
  says so and asks again by itself; a refusal is shown. ``await page.mart(task, "predict_output")`` is the catalog's;
  ``await page.work(function, *args)`` does the same for files, features and MLflow (import that one late);
- ``page.texts("<view>")("key", n=3, name="…")``, ``page.formats.number(…)``, ``.share``, ``.moment``, ``.value``;
- ``page.links.dagster`` and ``.mlflow``: bases of their UIs; ``page.files``, ``page.settings``, ``page.schema``.

What a view keeps is in the address, so that it can be linked to and the browser's "back" works: a link is
``tags.a(..., href=page.place().at(view="passport", batch=b, row=r))`` and a form is ``parts.form(place, ...)``; the
shell's script takes both to the new place without loading the page anew. Inputs of Shiny's own are for what need not
be in the address. Show what comes from data as htmltools' children, which escape it; never as ``HTML`` or Markdown.
Empty, loading and error states say what to do: ``parts.empty(what, do)``; loading is Shiny's own, outputs pulse.

A view's outputs must hang on ``page.place()`` only by what they need (``reactive.calc`` in between), because a
hidden view computes nothing but a visible one does at every step.
"""
