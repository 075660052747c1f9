"""``python -m pipeline_assets.cli`` is ``pipeline-assets``."""

from pipeline_assets.cli.main import PROGRAM, main

if __name__ == "__main__":
    main(prog_name=PROGRAM)
