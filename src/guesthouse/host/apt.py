"""What the host's apt configuration says: mirrors, proxies, whether expiry is checked.

Sources: sources.list(5) with both its forms, apt.conf(5), apt-transport-http(1), apt-transport-mirror(1).
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from guesthouse.errors import UserError

SUITES = frozenset(
    "oldoldstable oldstable stable testing unstable sid experimental bullseye bookworm trixie forky duke".split()  # noqa: SIM905
)
"""Names of Debian's suites: a source of another distribution has other ones."""

DEFAULTS = {"Dir": "/", "Dir::Etc": "etc/apt", "Dir::Etc::sourcelist": "sources.list"}
DEFAULTS["Dir::Etc::sourceparts"] = "sources.list.d"

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)")
_OPTION = re.compile(r'(\S+) "(.*)";')
_FILE_NAME = re.compile(r"[\w.-]+\.(list|sources)")


class Source(msgspec.Struct, frozen=True):
    """One source of binary packages."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


class Apt(msgspec.Struct, frozen=True):
    """The host's configuration: options as `apt-config dump` names them (lower case), and sources in order."""

    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    @property
    def checks_expiry(self) -> bool:
        """Whether a Release file that expired is refused."""
        return self.options.get("acquire::check-valid-until", "true").lower() not in ("false", "no", "0", "off")

    def mirrors(self) -> list[str]:
        """Roots of Debian mirrors without trailing slash, likeliest first; security archives are left out."""
        found: dict[str, bool] = {}
        for source in self.sources:
            uri = source.uri.rstrip("/")
            names = {suite.partition("/")[0].partition("-")[0] for suite in source.suites}
            security = "security" in uri.rpartition("/")[2] or all("security" in suite for suite in source.suites)
            usable = urlsplit(uri).scheme in ("http", "https") and "$(" not in uri
            if usable and names & SUITES and "main" in source.components and not security:
                found.setdefault(uri, uri.endswith("/debian"))
        return sorted(found, key=lambda uri: not found[uri])

    def security_mirrors(self) -> list[str]:
        """Roots of the archives that hold security updates, without trailing slash, in the order of the sources."""
        named = {
            source.uri.rstrip("/"): True
            for source in self.sources
            if "security" in source.uri.rstrip("/").rpartition("/")[2]
            or any(suite.partition("/")[0].endswith("-security") for suite in source.suites)
        }
        return [uri for uri in named if urlsplit(uri).scheme in ("http", "https") and "$(" not in uri]

    def proxy(self, url: str) -> str | None:
        """The proxy that apt would use for this URL; "DIRECT" for none on purpose, None where apt says nothing."""
        parts = urlsplit(url)
        stem = f"acquire::{parts.scheme}::proxy"
        for key in (
            f"{stem}::{parts.hostname}",
            stem,
            f"acquire::http::proxy::{parts.hostname}",
            "acquire::http::proxy",
        ):
            if value := self.options.get(key):
                return "DIRECT" if value.upper() == "DIRECT" else value
        command = self.options.get(f"{stem}-auto-detect") or self.options.get("acquire::http::proxy-auto-detect")
        return _detect(command, url) if command else None


def read_apt(dump: Callable[[], str] | None = None, root: Path = Path("/")) -> Apt:
    """The configuration of this host; an empty one where it has no apt.

    `dump` returns what `apt-config dump` prints; `root` replaces "/" before the paths it names (both for tests).
    """
    options = {key.lower(): value for key, value in DEFAULTS.items()}
    for line in (dump or _dump)().splitlines():
        if (match := _OPTION.fullmatch(line.strip())) and match[2]:
            options[match[1].lower()] = match[2]
    paths = [_directory(options, "dir::etc::sourcelist", root)]
    parts = _directory(options, "dir::etc::sourceparts", root)
    if parts.is_dir():
        paths += sorted(path for path in parts.iterdir() if _FILE_NAME.fullmatch(path.name))
    sources = [source for path in paths for source in _parse_file(path, root)]
    return Apt(options, tuple(sources))


def parse_one_line(text: str) -> list[Source]:
    """Sources of a file in the one-line form."""
    found = []
    for line in text.splitlines():
        if match := _ONE_LINE.fullmatch(line.partition("#")[0].strip()):
            found.append(Source(match["uri"], (match["suite"],), tuple(match["components"].split())))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Sources of a file in the deb822 form, without those that are not enabled."""
    found = []
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = fields.get(name, "") + " " + line.strip()
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        suites, components = tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split())
        found += [Source(uri, suites, components) for uri in fields.get("uris", "").split()]
    return found


def _parse_file(path: Path, root: Path) -> list[Source]:
    text = _read(path)
    sources = parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)
    return [listed for source in sources for listed in _follow_mirror_list(source, root)]


def _follow_mirror_list(source: Source, root: Path) -> list[Source]:
    """A `mirror+file:` source as the mirrors that its file lists, any other as it is."""
    scheme, _, path = source.uri.partition(":")
    if scheme != "mirror+file":
        return [source]
    lines = _read(root / path.lstrip("/")).splitlines()
    uris = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return [Source(uri, source.suites, source.components) for uri in uris]


def _read(path: Path) -> str:
    """A file's text; empty where this user can't read it, since apt's files may hold passwords."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _directory(options: Mapping[str, str], key: str, root: Path) -> Path:
    """The path of a `Dir::` option, which is relative to the option above it."""
    path = options.get(key, "")
    while not path.startswith("/") and "::" in key:
        key = key.rpartition("::")[0]
        path = f"{options.get(key, '').rstrip('/')}/{path}" if options.get(key) else path
    return root / path.lstrip("/")


def _dump() -> str:
    program = shutil.which("apt-config")
    if not program:
        return ""
    try:
        result = subprocess.run([program, "dump"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.decode("utf-8", "replace")


def _detect(command: str, url: str) -> str | None:
    """What the configured program says is the proxy for this URL."""
    try:
        result = subprocess.run([command, url], capture_output=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"apt's proxy program {command} failed ({error}); mend Proxy-Auto-Detect.") from error
    return result.stdout.decode("utf-8", "replace").strip() or None
