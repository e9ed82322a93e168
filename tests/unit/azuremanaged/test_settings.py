"""Connection strings, endpoints, kinds of credentials: what fits, and how the rest is refused."""

from __future__ import annotations

import pytest

from durabletask.azuremanaged import (
    DurableTaskSchedulerClient,
    DurableTaskSchedulerWorker,
    SchedulerSettings,
)
from durabletask.azuremanaged.authentication import make_credential
from durabletask.azuremanaged.endpoint import parse_endpoint
from durabletask.errors import ArgumentTypeError, BackendUrlError, ConfigurationError
from durabletask.grpc import Target
from durabletask.plugins import connect

GOOD = "Endpoint=https://x.durabletask.io;TaskHub=hub;Authentication=None"


def test_the_whole_grammar() -> None:
    """Case of keys, blanks, empty parts and the first equals sign."""
    settings = SchedulerSettings.parse(
        " endpoint = https://x.durabletask.io ;TASKHUB=hub;; Authentication=workloadidentity;"
        "ClientID=c;TenantId=t;TokenFilePath=/a=b;AdditionallyAllowedTenants= one, two ,;"
    )
    assert settings == SchedulerSettings(
        endpoint="https://x.durabletask.io",
        task_hub="hub",
        authentication="workloadidentity",
        client_id="c",
        tenant_id="t",
        token_file_path="/a=b",
        additionally_allowed_tenants=("one", "two"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "lacks Endpoint"),
        ("TaskHub=h;Authentication=None", "lacks Endpoint"),
        ("Endpoint=https://x;Authentication=None", "lacks TaskHub"),
        ("Endpoint=https://x;TaskHub=;Authentication=None", "lacks TaskHub"),
        ("Endpoint=https://x;TaskHub=h", "lacks Authentication"),
        (f"{GOOD};secret", "part 4 of the connection string is no Key=Value pair"),
        (f"{GOOD};=secret", "part 4 of the connection string is no Key=Value pair"),
        (f"{GOOD};AccountKey=secret", "part 4 of the connection string has an unknown key"),
        (f"{GOOD};ClientIDs=secret", "did you mean 'clientid'"),
        (f"{GOOD};taskhub=secret", "TaskHub twice"),
        (GOOD.replace("None", "Secret"), "Authentication is of an unknown kind"),
        (GOOD.replace("None", "IntelliJ"), "exists in other languages only"),
        (GOOD.replace("x.durabletask.io", "u:secret@x"), "Endpoint is malformed"),
        (GOOD.replace("https:", "ftp:"), "Endpoint is malformed"),
        (GOOD.replace(".io", ".io:99999"), "Endpoint is malformed"),
        (GOOD.replace(".io", ".io/secret"), "Endpoint is malformed"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    """The part, never a value: it may be a secret in the wrong place."""
    for made in (DurableTaskSchedulerClient, DurableTaskSchedulerWorker, SchedulerSettings.parse):
        with pytest.raises(ConfigurationError, match=told) as caught:
            made(text)
        assert "secret" not in str(caught.value).lower()


def test_it_must_be_text() -> None:
    """A wrong type is named."""
    with pytest.raises(ArgumentTypeError, match="a connection string is text, not int"):
        SchedulerSettings.parse(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("x.durabletask.io", Target("x.durabletask.io:443", True)),
        ("https://X.durabletask.io/", Target("x.durabletask.io:443", True)),
        ("grpcs://x:1", Target("x:1", True)),
        ("http://localhost:8080", Target("localhost:8080", False)),
        ("grpc://[::1]:9", Target("[::1]:9", False)),
        ("http://host", Target("host:80", False)),
    ],
)
def test_endpoints(text: str, target: Target) -> None:
    """No scheme is https; the scheme decides about TLS."""
    assert parse_endpoint(text) == target


def test_without_arguments_the_emulator_is_meant() -> None:
    """Client and worker find each other there."""
    client = DurableTaskSchedulerClient()
    assert "'http://localhost:8080', task_hub='default'" in repr(client)
    worker = DurableTaskSchedulerWorker(None, task_hub_name="eu")
    assert "'http://localhost:8080', task_hub='eu'" in repr(worker)
    named = DurableTaskSchedulerClient(endpoint="https://x.durabletask.io", task_hub_name="eu")
    assert "'https://x.durabletask.io', task_hub='eu'" in repr(named)


def test_arguments_that_exclude_each_other() -> None:
    """Two endpoints, two hubs."""
    with pytest.raises(ConfigurationError, match="endpoint=, not both"):
        DurableTaskSchedulerClient(GOOD, endpoint="https://y")
    with pytest.raises(ConfigurationError, match="task hub 'hub' and task_hub_name 'other'"):
        DurableTaskSchedulerClient(GOOD, "other")
    without = "Endpoint=https://x.durabletask.io;Authentication=None"
    assert "task_hub='other'" in repr(DurableTaskSchedulerClient(without, "other"))


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("DefaultAzure", "DefaultAzureCredential"),
        ("managedidentity", "ManagedIdentityCredential"),
        ("WorkloadIdentity", "WorkloadIdentityCredential"),
        ("Environment", "EnvironmentCredential"),
        ("AzureCLI", "AzureCliCredential"),
        ("AzurePowerShell", "AzurePowerShellCredential"),
        ("VisualStudioCode", "VisualStudioCodeCredential"),
        ("InteractiveBrowser", "InteractiveBrowserCredential"),
    ],
)
def test_each_kind_has_its_credential(kind: str, cls: str) -> None:
    """The async ones of azure-identity, but for the one that it has in plain form only."""
    settings = SchedulerSettings(
        authentication=kind,
        client_id="11111111-1111-1111-1111-111111111111",
        tenant_id="22222222-2222-2222-2222-222222222222",
        token_file_path="/nowhere",
        additionally_allowed_tenants=("*",),
    )
    credential = make_credential(settings)
    assert type(credential).__name__ == cls
    expected = "azure.identity.aio" if cls != "InteractiveBrowserCredential" else "azure.identity"
    assert type(credential).__module__.startswith(expected)


def test_a_credential_that_lacks_a_setting() -> None:
    """What azure-identity complains about is told with the kind."""
    with pytest.raises(ConfigurationError, match="Authentication=WorkloadIdentity"):
        make_credential(SchedulerSettings(authentication="WorkloadIdentity"))


class _Credential:
    def get_token(self, *scopes: str) -> object:
        raise AssertionError("nobody asks")


@pytest.mark.parametrize("endpoint", ["http://example.com", "http://10.0.0.1:8080"])
def test_no_token_in_plain_text(endpoint: str) -> None:
    """Not to another machine, whatever the caller allows."""
    for allowed in (False, True):
        with pytest.raises(ConfigurationError, match="not encrypted"):
            DurableTaskSchedulerClient(
                endpoint=endpoint, credential=_Credential(), token_over_plaintext=allowed
            )


def test_a_token_inside_the_machine_needs_a_flag() -> None:
    """Loopback is plain text too."""
    with pytest.raises(ConfigurationError, match="token_over_plaintext"):
        DurableTaskSchedulerClient(endpoint="http://localhost:1", credential=_Credential())
    DurableTaskSchedulerClient(
        endpoint="http://localhost:1", credential=_Credential(), token_over_plaintext=True
    )


def test_urls() -> None:
    """TLS and DefaultAzure unless the URL says otherwise."""
    backend = connect("azuremanaged://x.durabletask.io?task_hub=eu")
    assert repr(backend) == "AzureManagedBackend('https://x.durabletask.io', task_hub='eu')"
    local = connect("azuremanaged://localhost:8080?plaintext=true&authentication=None")
    assert "'http://localhost:8080'" in repr(local)
    assert local.capabilities.name == "azuremanaged"
    for url in (
        "azuremanaged://x?authentication=Nonsense",
        "azuremanaged://x?plaintext=true",
        "azuremanaged://user:secret@x",
        "azuremanaged://x/path",
        "azuremanaged://x?nonsense=1",
        "azuremanaged://",
    ):
        with pytest.raises(BackendUrlError) as caught:
            connect(url)
        assert "secret" not in str(caught.value)
