"""``gatewatch run``: a worker."""

from typing import Annotated

import structlog
import typer

from stream import assembly
from stream.app import Role
from stream.errors import CommandError
from stream.flags import AssignFlag, BootstrapFlag, BundleFlag, ConfigFlag, settings_of
from stream.logs import configure_logs
from stream.topics import require_topics
from stream.worker import assemble, require_port, run_until_stopped

log = structlog.get_logger(__name__)

RoleFlag = Annotated[Role, typer.Option("--role", help="What this worker does.")]
PortFlag = Annotated[
    int | None,
    typer.Option("--web-port", metavar="PORT", help="Short for --set web.port=…", show_default=False),
]
MemoryFlag = Annotated[
    str | None,
    typer.Option(
        "--memory-budget",
        metavar="SIZE",
        help="Memory for open sessions, for example 2GiB; short for --set state.memory_budget=…",
        show_default=False,
    ),
]


def run(  # noqa: PLR0913 -- one parameter per flag
    *,
    role: RoleFlag = Role.ALL,
    bundle: BundleFlag = None,
    web_port: PortFlag = None,
    memory_budget: MemoryFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    bootstrap: BootstrapFlag = None,
) -> None:
    """Read gateway logs from Kafka and write alerts to Kafka, until SIGTERM or SIGINT; a second one ends it at once.

    SIGHUP reloads the model. Workers of the same group share the partitions; start as many as there are partitions.
    """
    flags = {
        "model.bundle": bundle,
        "web.port": web_port,
        "state.memory_budget": memory_budget,
        "kafka.bootstrap_servers": bootstrap,
    }
    settings = settings_of(config, assign, flags)
    configure_logs(settings.log)
    require_port(settings.web)
    require_topics(settings, role.parts)
    model = assembly.model_bundle(settings)
    log.info("model", uid=model.uid, trained_on=model.manifest.trained_on)
    challenger = assembly.challenger_bundle(settings)
    if challenger is not None:
        log.info("challenger", uid=challenger.uid, trained_on=challenger.manifest.trained_on)
    worker = assemble(settings, model, role, challenger)
    if code := run_until_stopped(worker):
        raise worker.explanation or CommandError(
            "the worker stopped on an error", "the log above says which", exit_code=code
        )
