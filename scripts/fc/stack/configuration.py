"""The configuration file of supervisord."""

import os
import re
import shlex
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fc.stack.errors import StackError
from fc.stack.layout import Layout

# The format has no escapes: a line break ends a value and ` ;` or ` #` begins a comment, also within quotes.
_UNFIT = re.compile(r"[\n\r]|\s[;#]")


@dataclass(frozen=True)
class Program:
    """A program for supervisord: it is killed when it has not ended `stop_wait_s` after `stop_signal`."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: int = 25


def configuration(layout: Layout, programs: Iterable[Program]) -> str:
    """Return the text of supervisord's configuration file. Raises StackError for values that its format can't hold."""
    run = layout.home / "run"
    lines = [
        "[supervisord]",
        f"logfile={_escaped(str(layout.log('supervisord')))}",
        f"pidfile={_escaped(str(run / 'supervisord.pid'))}",
        f"childlogdir={_escaped(str(layout.home / 'logs'))}",
        "directory=/",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_escaped(str(layout.socket))}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for program in programs:
        lines += _section(program, layout.log(program.name))
    return "\n".join([*lines, ""])


def _section(program: Program, log: Path) -> list[str]:
    environment = ",".join(f'{name}="{_value(name, text)}"' for name, text in sorted(program.environment.items()))
    return [
        f"[program:{program.name}]",
        f"command={_escaped(shlex.join(program.command))}",
        f"environment={environment}",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        f"stopsignal={program.stop_signal.name.removeprefix('SIG')}",
        f"stopwaitsecs={program.stop_wait_s}",
        "killasgroup=true",
        "redirect_stderr=true",
        # supervisord expands this option twice.
        f"stdout_logfile={_escaped(_escaped(str(log)))}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=1",
    ]


def _escaped(text: str) -> str:
    """Escape a path or a command. Raises StackError for one that the format can't hold."""
    if _UNFIT.search(text):
        raise StackError(f"the local stack takes no line breaks, ' ;' or ' #' in a path: {text!r}")
    return text.replace("%", "%%")


def _value(name: str, text: str) -> str:
    """Escape the value of a setting. Raises StackError, which does not show it, for one that the format can't hold."""
    if _UNFIT.search(text) or '"' in text or "'" in text:
        raise StackError(
            f"{name} can't be passed on: the local stack takes no quotes, line breaks, ' ;' or ' #' in a value"
        )
    return text.replace("%", "%%")
