"""``gatewatch pseudonym``: what a known client or address is called in alerts, under each key."""

import sys
from typing import Annotated

import typer
from rich.table import Table

from stream.adapters.identities import session_name, with_agent
from stream.adapters.pseudonyms import Pseudonyms
from stream.console import print_json, shown, stdout
from stream.errors import CommandError, ExitCode
from stream.flags import AssignFlag, ConfigFlag, JsonFlag, settings_of
from stream.pseudonym_keys import hmac_keys
from stream.settings import Settings

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="Client or address as the gateway logs it; - reads it from standard input.",
        show_default=False,
    ),
]
SessionFlag = Annotated[bool, typer.Option("--session", help="NAME is the id or the cookie of a session.")]
AgentFlag = Annotated[
    str | None,
    typer.Option(
        "--agent", metavar="TEXT", help="NAME is an address, of clients with this user agent.", show_default=False
    ),
]


def pseudonym(  # noqa: PLR0913 -- one parameter per flag
    name: NameArgument,
    *,
    session: SessionFlag = False,
    agent: AgentFlag = None,
    config: ConfigFlag = None,
    assign: AssignFlag = None,
    json: JsonFlag = False,
) -> None:
    """Say what a client or an address is called under each key, the current one first. Nothing is looked up.

    To find all alerts of a client, search for each of these: before the key was changed it had another one.
    """
    settings = settings_of(config, assign)
    client = client_named(sys.stdin.readline().strip() if name == "-" else name, session=session, agent=agent)
    rows = pseudonyms_of(settings, client)
    if json:
        print_json([{"key": key, "pseudonym": own, "current": current} for key, own, current in rows])
        return
    table = Table("key", "pseudonym", "", box=None, pad_edge=False)
    for key, own, current in rows:
        table.add_row(shown(key), shown(own), "current" if current else "")
    stdout.print(table)


def client_named(name: str, *, session: bool, agent: str | None) -> str:
    """Return the client's name, as it would be without keys.

    Raises:
        CommandError: there is no name, or it is to be two things.
    """
    if not name:
        raise CommandError("no name was given", "give the name as the gateway logs it", ExitCode.USAGE)
    if session and agent is not None:
        raise CommandError("--session and --agent", "a client is known by one of them", ExitCode.USAGE)
    if session:
        return session_name(name)
    return name if agent is None else with_agent(name, agent)


def pseudonyms_of(settings: Settings, client: str) -> list[tuple[str, str, bool]]:
    """Return a client's pseudonym under each key, with the key's id and whether it is current, that one first.

    Raises:
        CommandError: there are no keys.
        SettingsError: the keys can't be read.
    """
    keys, current = hmac_keys(settings), settings.privacy.current
    if not keys:
        hint = "set privacy.hmac_keys_file, or privacy.hmac_keys, and privacy.current; docs/identity.md says how"
        raise CommandError("there are no keys, so clients are called as they are logged", hint, ExitCode.USAGE)
    order = sorted(keys, key=lambda key: key != current)
    return [(key, Pseudonyms(keys, key).of(client), key == current) for key in order]
