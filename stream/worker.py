"""Worker: runs an application in this process until a signal or an error ends it."""

import faust
import structlog

from stream.errors import ExitCode

log = structlog.get_logger(__name__)


class Worker(faust.Worker):
    """A Faust worker without Faust's banner, log set-up and redirected output."""

    def __init__(self, app: faust.App) -> None:
        super().__init__(app, quiet=True, override_logging=False, redirect_stdouts=False)
        self.spinner = None


def run_until_stopped(app: faust.App) -> ExitCode:
    """Run the application; SIGTERM and SIGINT end it in good order.

    Returns:
        OK after a signal, FAILURE when the application failed (the log says why).
    """
    worker = Worker(app)
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        crashed = bool(ended.code) or worker.crashed or app.crashed
    except Exception as error:  # noqa: BLE001 -- whatever ended the application has been logged where it happened
        log.error("the worker failed", error=str(error))
        crashed = True
    return ExitCode.FAILURE if crashed else ExitCode.OK
