"""Sphinx's settings, the same for both sites; the tag ``en`` or ``ru`` says which one is built (see build.py)."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

language = "en" if tags.has("en") else "ru"  # type: ignore[name-defined]  # noqa: F821 - Sphinx gives it
project = "pipeline_assets"
version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
html_title = f"pipeline_assets {version}"
copyright = "pipeline_assets"  # noqa: A001 - Sphinx's name

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "twins", "generated"]
exclude_patterns = ["_site", "en", "decisions.md", "**/.ipynb_checkpoints"] if language == "ru" else []
locale_dirs = [str(HERE / "locale")]
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]

html_theme = "furo"
html_theme_options = {"navigation_with_keys": True}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_last_updated_fmt = None

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# Links into the other site, which twins.py makes of links into the other tree.
myst_url_schemes = {"http": None, "https": None, "mailto": None, "site": "{{path}}#{{fragment}}"}
nb_execution_mode = "off"  # notebooks are run by the tests
linkcheck_ignore = [r"https?://([\w-]+\.)*example\b"]  # hosts of examples
smartquotes = False  # --all stays --all
highlight_language = "none"  # indented code is mostly a terminal's

# Types of other packages are named in signatures; their documentation is not asked for, so that a build needs no net.
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
autodoc_class_signature = "separated"  # and left out: a model's is as long as its fields, which stand below
