"""How to open psql over the marts: on the server that the environment names, or on the embedded one."""

import shutil

from pipeline_assets.errors import SettingsError
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts import embedded_postgres


def command(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment of psql; a password goes by the environment, where ps does not show it.

    Raises:
        PipelineError: there is no psql, or the embedded server does not start.
    """
    search_path = {"PGOPTIONS": f"-c search_path={settings.schema}"}
    if settings.greenplum is None:
        folder = settings.state / "postgres"
        place = embedded_postgres.use(folder)
        line = embedded_postgres.command("psql", data=folder / "data")
        return line, {
            **search_path,
            "PGHOST": place["host"],
            "PGPORT": place["port"],
            "PGDATABASE": place["dbname"],
            "PGUSER": place["user"],
        }
    psql = shutil.which("psql")
    if psql is None:
        raise SettingsError("psql is not installed", do="install PostgreSQL's client")
    server = settings.greenplum
    return [psql], {
        **search_path,
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGDATABASE": server.database,
        "PGUSER": server.login,
        "PGPASSWORD": server.password,
    }
