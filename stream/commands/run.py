"""``gatewatch run``: a worker."""

from typing import Annotated

import structlog
import typer

from stream.app import Role
from stream.errors import CommandError
from stream.flags import AssignFlag, BootstrapFlag, BundleFlag, ConfigFlag, settings_of
from stream.logs import configure_logs
from stream.model_topic import models_in_use
from stream.suppression_topic import followed_rules
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

    SIGHUP reloads the model; with model.bundle = topic: what is promoted is taken up without. Workers of the same group
    share the partitions; start as many as there are partitions.
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
    models, followed = models_in_use(settings) if Role.DETECT in role.parts else (None, None)
    if models is not None:
        log.info("model", uid=models.champion.uid, trained_on=models.champion.manifest.trained_on)
        if models.challenger is not None:
            log.info("challenger", uid=models.challenger.uid, trained_on=models.challenger.manifest.trained_on)
    rules = followed_rules(settings) if Role.DETECT in role.parts else None
    worker = assemble(settings, models, role, followed, rules)
    if code := run_until_stopped(worker):
        raise worker.explanation or CommandError(
            "the worker stopped on an error", "the log above says which", exit_code=code
        )
