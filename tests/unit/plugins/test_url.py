"""Reading backend URLs: canonical forms, secrets kept, and what is refused with which words."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durabletask.errors import ArgumentTypeError, BackendUrlError
from durabletask.plugins import parse_url

SECRET = "hunter2"


# --- what is understood ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "backend", "scheme"),
    [
        ("postgres", "postgresql", "postgresql"),
        ("postgresql", "postgresql", "postgresql"),
        ("PostgreSQL", "postgresql", "postgresql"),
        ("redis", "redis", "redis"),
        ("rediss", "redis", "rediss"),
        ("unix", "redis", "unix"),
        ("grpcs", "grpc", "grpcs"),
        ("csv.v2-beta", "csv.v2-beta", "csv.v2-beta"),
    ],
)
def test_schemes_have_one_canonical_form(spelling: str, backend: str, scheme: str) -> None:
    """Whoever serves it, and what the spelling itself still says."""
    url = parse_url(f"{spelling}://host")
    assert (url.backend, url.scheme) == (backend, scheme)


def test_spellings_of_one_place_are_equal() -> None:
    """What differs only in writing is one URL, with one hash."""
    first = parse_url("postgres://me:pw@DB.example:5432/orders?b=2&a=1&task_hub=default")
    second = parse_url("POSTGRESQL://me:pw@db.example:5432/orders?a=1&b=2")
    assert first == second
    assert hash(first) == hash(second)
    assert first.reveal() == second.reveal()


@pytest.mark.parametrize(
    "other", ["site://me:PW@db/a", "site://me:pw@db/A", "site://me:pw@db/a?task_hub=x"]
)
def test_other_places_are_not_equal(other: str) -> None:
    """Secrets and paths are told apart by case, and hubs by name."""
    assert parse_url("site://me:pw@db/a") != parse_url(other)


def test_server_address_is_decoded() -> None:
    """A driver gets what was meant, not how it was written."""
    server = parse_url("redis://m%65:p%40%2Fw@Cache.example:6380/0").server()
    assert server == ("cache.example", 6380, "me", "p@/w")
    assert parse_url("redis://[::1]:6379").server() == ("::1", 6379, None, None)
    assert parse_url("redis://:pw@h").server() == ("h", None, "", "pw")
    assert parse_url("redis://a:p:w@x@h").server() == ("h", None, "a", "p:w@x")
    assert parse_url("postgresql://%2Fvar%2FRun/db").server().host == "/var/Run"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///orders.db", "orders.db"),
        ("sqlite:///data/orders.db", "data/orders.db"),
        ("sqlite:////var/lib/orders.db", "/var/lib/orders.db"),
        ("sqlite:///C:/data/orders.db", "C:/data/orders.db"),
        ("sqlite:///C:\\data\\orders.db", "C:\\data\\orders.db"),
        ("sqlite:////srv/a%23b%3Fc%25.db", "/srv/a#b?c%.db"),
        ("sqlite:///my orders+more.db", "my orders+more.db"),
        ("sqlite:///me@work.db", "me@work.db"),
    ],
)
def test_local_paths(url: str, path: str) -> None:
    """Three slashes and a relative path, four and an absolute one, or a Windows drive."""
    assert parse_url(url).local_path() == path


def test_options_are_decoded_and_the_hub_is_set_apart() -> None:
    """A plus sign is a plus sign: this is no form."""
    url = parse_url("site://?a=1%262&b=x+y&task_hub=eu-west_1.blue&c=")
    assert url.query == {"a": "1&2", "b": "x+y", "c": ""}
    assert url.task_hub == "eu-west_1.blue"
    assert parse_url("site://").task_hub == "default"


def test_task_hub_may_be_named_beside_the_url() -> None:
    """It makes the same URL as naming it inside, and repeating it is no contradiction."""
    inside = parse_url("site://h?task_hub=eu")
    assert parse_url("site://h", task_hub="eu") == inside
    assert parse_url("site://h?task_hub=eu", task_hub="eu") == inside


@given(
    password=st.text(min_size=1),
    path=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    value=st.text(),
)
def test_revealed_text_is_read_back_as_the_same_url(password: str, path: str, value: str) -> None:
    """The canonical text loses nothing, whatever the parts contain."""
    from urllib.parse import quote

    text = f"site://me:{quote(password, safe='')}@host/{quote(path)}?key={quote(value, safe='')}"
    url = parse_url(text)
    assert parse_url(url.reveal()) == url
    assert url.server().password == password
    assert url.path == f"/{path}"
    assert url.query["key"] == value


# --- what is kept secret -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"site://me:{SECRET}@host/path",
        f"site://{SECRET}@host/path",
        f"site://:{SECRET}@host/path",
        f"site://me:a@{SECRET}@host",
        f"site://host?password={SECRET}",
        f"site:///file?key={SECRET}&task_hub=a",
    ],
)
def test_texts_for_people_hide_every_place_of_a_secret(text: str) -> None:
    """User, password and the values of options: any of them may be one."""
    url = parse_url(text)
    assert SECRET in url.reveal()
    assert SECRET not in f"{url} {url!r} {url.server() if url.authority else ''!r}"
    assert SECRET not in f"{[url]} {copy.deepcopy(url)!r} {pickle.loads(pickle.dumps(url))!r}"


def test_texts_for_people_still_say_which_url_it_is() -> None:
    """Scheme, host, path, hub and the names of options."""
    url = parse_url(f"postgres://me:{SECRET}@db:5432/orders?ssl={SECRET}&task_hub=eu")
    assert str(url) == "postgresql://***@db:5432/orders?ssl=***&task_hub=eu"
    assert repr(url) == "BackendUrl('postgresql://***@db:5432/orders?ssl=***&task_hub=eu')"
    assert repr(url.server()) == "Server(host='db', port=5432)"


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET}",
        f"me:{SECRET}@host/db",
        f"site:{SECRET}",
        f"site://me:{SECRET}#x@host",
        f"site://me:a/{SECRET}@host",
        f"site://me:1/{SECRET}@host",
        f"site://me:a?{SECRET}@host",
        f"site://me:a@b/{SECRET}@host",
        f"site://h?{SECRET}",
        f"site://h?a=1&{SECRET}%=2",
        f"site://me:{SECRET}@h/%ff",
        f" site://{SECRET}@h",
        f"site://{SECRET}@h\n",
    ],
)
def test_errors_repeat_nothing_of_a_malformed_url(text: str) -> None:
    """An unescaped password turns up anywhere in it."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url(text)
    assert SECRET not in f"{caught.value} {caught.value.args}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# --- what is refused ---------------------------------------------------------------------------

NOT_A_URL = (
    "malformed backend URL: it must read scheme://place?option=value, as in sqlite:///orders.db, "
    "without surrounding blanks or control characters"
)
NO_FRAGMENT = (
    "malformed backend URL: it has no part after a #; write %23 for a # that belongs to a value"
)
STRAY_AT = (
    "malformed backend URL: there is an @ after the first / or ?; percent-encode / ? # @ in the "
    "password, and write %40 for an @ in the path or in an option"
)
NO_OPTIONS = "malformed backend URL: after the ? come options, name=value, separated by &"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", NOT_A_URL),
        ("orders.db", NOT_A_URL),
        ("/var/lib/orders.db", NOT_A_URL),
        ("C:\\orders.db", NOT_A_URL),
        ("sqlite:orders.db", NOT_A_URL),
        ("://host", NOT_A_URL),
        ("1x://host", NOT_A_URL),
        ("a_b://host", NOT_A_URL),
        (" sqlite:///orders.db", NOT_A_URL),
        ("sqlite:///orders.db\n", NOT_A_URL),
        ("sqlite:///or\tders.db", NOT_A_URL),
        ("sqlite:///orders#1.db", NO_FRAGMENT),
        ("redis://host#", NO_FRAGMENT),
        ("redis://host/me@home", STRAY_AT),
        ("redis://host?a=me@home", STRAY_AT),
        ("site://h?a", NO_OPTIONS),
        ("site://h?=1", NO_OPTIONS),
        ("site://h?a-b=1", NO_OPTIONS),
        ("site://h?a=1&a=2", "malformed backend URL: the option 'a' is given twice"),
        ("site://h/%ff", "malformed backend URL: a percent-encoded part is not UTF-8"),
        ("site://h?a=%ff", "malformed backend URL: a percent-encoded part is not UTF-8"),
    ],
)
def test_malformed_urls(text: str, error: str) -> None:
    """Each says how a URL is written."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url(text)
    assert str(caught.value) == error


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "ä", "x" * 65, "a\u0000b"])
def test_task_hubs_have_plain_names(name: str) -> None:
    """1 to 64 characters that mean nothing to any store."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url("site://h", task_hub=name)
    assert str(caught.value) == (
        f"{name!r} is no name for a task hub: it takes 1 to 64 letters, digits, underscores, dots "
        "and hyphens"
    )


def test_two_task_hubs_are_one_too_many() -> None:
    """Even if the one in the URL is the default's name: it was said."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url("site://h?task_hub=default", task_hub="eu")
    assert str(caught.value) == (
        "the URL names the task hub 'default' and the caller 'eu': leave one out"
    )


def test_only_texts_are_urls() -> None:
    """A path object, say, is not one."""
    with pytest.raises(ArgumentTypeError) as caught:
        parse_url(b"sqlite:///orders.db")  # type: ignore[arg-type]
    assert str(caught.value) == "a backend URL is a str, not bytes"
    with pytest.raises(ArgumentTypeError) as caught:
        parse_url("site://h", task_hub=7)  # type: ignore[arg-type]
    assert str(caught.value) == "the name of a task hub is a str, not int"


@pytest.mark.parametrize(
    "text",
    [
        "redis://",
        "redis:///0",
        "redis://:6379",
        "redis://host:port",
        "redis://host:0",
        "redis://host:65536",
        "redis://host:",
        "redis://::1",
        "redis://me@",
        f"redis://me:{SECRET}",
    ],
)
def test_servers_need_a_host_and_maybe_a_port(text: str) -> None:
    """A URL of a file has neither, so this is looked at when a backend asks for its server."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url(text).server()
    assert str(caught.value) == (
        "a redis URL needs redis://[user[:password]@]host[:port], with a port from 1 to 65535; "
        "percent-encode : / ? # @ in user and password"
    )


@pytest.mark.parametrize(
    "text",
    ["file://orders.db", "file://data/orders.db", "file://C:/orders.db", "file://", "file:///"],
)
def test_files_come_after_three_slashes(text: str) -> None:
    """With two the file would be a host."""
    with pytest.raises(BackendUrlError) as caught:
        parse_url(text).local_path()
    assert str(caught.value) == (
        "a file URL has no host: a file follows three slashes, as in file:///orders.db, and an "
        "absolute path four, as in file:////var/lib/orders.db"
    )
