"""The chart under helm/palisade: linted and rendered by Helm itself, its manifests held against Kubernetes' schemas.

Never talks to a cluster.
"""

import copy
import re
import shutil
import subprocess
from pathlib import Path

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "palisade"
KUBERNETES = "1.34"
CONFIG_MAP_BYTES_MAX = 1024 * 1024
ONE_WRITER = "the embedded state has a single writer, so replicas must be 0 or 1"

CALLER = {
    "name": "crm-gateway",
    "token_sha256": "0f" * 32,
    "roles": ["authorize", "assert", "outcome"],
    "servers": ["crm"],
}
BUNDLE = {
    "schemas/main.cedarschema": "entity Agent;\n",
    "policies/guard.cedar": "forbid (principal, action, resource);\n",
    "policies/crm/refunds.cedar": "// braces are left alone: {{ .Values }}\n",
    "entities/acme.json": "[]\n",
    "tools/crm.json": '{"tools": []}\n',
    "tools/crm.facts.yaml": "groups: [internal-systems]\n",
}
EVERYTHING = {
    "image": {"digest": "sha256:" + "ab" * 32, "pullSecrets": ["pull"]},
    "telemetry": {"otlpEndpoint": "http://otel-collector:4317"},
    "env": [{"name": "RUST_LOG", "value": "info"}],
    "networkPolicy": {
        "enabled": True,
        "grpcFrom": [{"namespaceSelector": {"matchLabels": {"team": "agents"}}}],
        "egress": [{"ports": [{"port": 4317, "protocol": "TCP"}]}],
    },
    "podDisruptionBudget": {"enabled": True},
    "persistence": {"storageClass": "fast", "accessMode": "ReadWriteOncePod"},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "agents"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-cluster-critical",
}


def values(**changes):
    """The least that installs, with changes."""
    return {"callers": [CALLER], "bundle": {"files": BUNDLE}} | copy.deepcopy(changes)


def render(chart=CHART, /, **changes):
    with helm.Chart.load(chart) as loaded:
        return loaded.render(values(**changes), name="pdp", namespace="agents")


def manifests(**changes):
    """The rendered objects by (kind, name), each one held strictly against its schema."""
    found = {}
    for path, text in render(**changes).items():
        if not path.endswith(".yaml"):
            continue
        for manifest in filter(None, yaml.safe_load_all(text)):
            kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
            found[manifest["kind"], manifest["metadata"]["name"]] = manifest
    return found


def deployment(**changes):
    return manifests(**changes)["Deployment", "pdp-palisade"]


def pod(**changes):
    return deployment(**changes)["spec"]["template"]["spec"]


def config(**changes):
    secret = manifests(**changes)["Secret", "pdp-palisade-config"]
    return yaml.safe_load(secret["stringData"]["config.yaml"])


def mounted(objects):
    """The bundle as the pod sees it: path → content, through the projected volume's items."""
    volumes = objects["Deployment", "pdp-palisade"]["spec"]["template"]["spec"]["volumes"]
    [bundle] = [volume for volume in volumes if volume["name"] == "bundle"]
    files = {}
    for source in bundle["projected"]["sources"]:
        data = objects["ConfigMap", source["configMap"]["name"]]["data"]
        for item in source["configMap"]["items"]:
            files[item["path"]] = data[item["key"]]
    return files


def refusal(chart=CHART, /, **changes):
    with pytest.raises((helm.HelmValuesError, helm.HelmRenderError)) as refused:
        render(chart, **changes)
    return str(refused.value)


@pytest.fixture
def chart_without_schema(tmp_path):
    """The chart as `--skip-schema-validation` sees it."""
    chart = tmp_path / "palisade"
    shutil.copytree(CHART, chart)
    (chart / "values.schema.json").unlink()
    return chart


@pytest.mark.parametrize("given", [None, values(), values(**EVERYTHING)], ids=["defaults", "least", "everything"])
def test_strict_lint_has_nothing_to_say_but_that_an_icon_is_missing(given):
    report = helm.lint(CHART, given, strict=True, kube_version=f"v{KUBERNETES}.0")
    assert report["errors"] == []
    assert [message["error"] for message in report["messages"]] == ["icon is recommended"]


def test_one_caller_and_a_bundle_are_all_that_an_install_needs():
    assert sorted(manifests()) == [
        ("ConfigMap", "pdp-palisade-bundle"),
        ("Deployment", "pdp-palisade"),
        ("PersistentVolumeClaim", "pdp-palisade-data"),
        ("Secret", "pdp-palisade-config"),
        ("Service", "pdp-palisade"),
        ("Service", "pdp-palisade-admin"),
        ("ServiceAccount", "pdp-palisade"),
    ]


def test_every_option_renders_valid_manifests():
    objects = manifests(**EVERYTHING)
    assert ("NetworkPolicy", "pdp-palisade") in objects
    assert ("PodDisruptionBudget", "pdp-palisade") in objects
    [container] = objects["Deployment", "pdp-palisade"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "palisade@sha256:" + "ab" * 32


def test_a_manifest_with_an_unknown_field_would_be_noticed():
    broken = deployment()
    broken["spec"]["template"]["spec"]["containers"][0]["subpath"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


def test_the_image_is_tagged_with_the_version_of_the_application():
    cargo = (ROOT / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.+)"$', cargo, re.MULTILINE).group(1)
    [container] = pod()["containers"]
    assert container["image"] == f"palisade:{version}"


@pytest.mark.parametrize("replicas", [2, 3])
def test_more_than_one_replica_is_refused_with_the_reason(replicas, chart_without_schema):
    assert ONE_WRITER in refusal(replicas=replicas)
    assert ONE_WRITER in refusal(chart_without_schema, replicas=replicas)


@pytest.mark.parametrize("replicas", [0, 1])
def test_none_and_one_replica_are_taken_and_replaced_never_overlapped(replicas):
    spec = deployment(replicas=replicas)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (replicas, {"type": "Recreate"})


def test_a_release_without_callers_is_refused():
    assert "name at least one caller" in refusal(callers=[])


def test_a_bundle_without_a_schema_is_refused():
    assert "the bundle has no schema" in refusal(bundle={"files": {"policies/a.cedar": ""}})
    assert "the bundle has no schema" in refusal(bundle={})


def test_a_bundle_from_both_places_is_refused():
    maps = [{"name": "m", "items": [{"key": "a", "path": "schemas/a.cedarschema"}]}]
    assert "comes from one of them" in refusal(bundle={"files": BUNDLE, "existingConfigMaps": maps})


def test_a_bundle_that_no_config_map_can_hold_is_refused():
    files = BUNDLE | {"tools/big.json": "x" * CONFIG_MAP_BYTES_MAX}
    assert "split the bundle over bundle.existingConfigMaps" in refusal(bundle={"files": files})


@pytest.mark.parametrize(
    "changes",
    [
        {"replica": 1},
        {"image": {"repo": "x"}},
        {"service": {"http": 80}},
        {"bundle": {"file": {}}},
        {"callers": [CALLER | {"token": "plain"}]},
        {"persistence": {"enable": True}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_values_that_the_chart_does_not_know_are_refused(changes):
    assert "additional properties" in refusal(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"callers": [CALLER | {"token_sha256": "s3cret"}]},
        {"callers": [{key: value for key, value in CALLER.items() if key != "token_sha256"}]},
        {"callers": [CALLER | {"jwt": {"issuer": "https://idp.acme.example"}}]},
        {"callers": [CALLER | {"roles": ["root"]}]},
        {"callers": [CALLER | {"roles": []}]},
        {"callers": [CALLER | {"servers": "crm"}]},
        {"callers": [{key: value for key, value in CALLER.items() if key != "servers"}]},
        {"bindAddress": "127.0.0.1"},
        {"replicas": "1"},
        {"replicas": -1},
    ],
)
def test_values_of_the_wrong_form_are_refused(changes):
    assert "values don't meet the specifications" in refusal(**changes)


@pytest.mark.parametrize(
    "path", ["guard.cedar", "policies/../x.cedar", "policies/.x.cedar", "policies/a--b.cedar", "tools/a/b.json", "/policies/a.cedar"]
)
def test_a_path_that_is_no_place_in_a_bundle_is_refused(path):
    assert "does not match pattern" in refusal(bundle={"files": BUNDLE | {path: ""}})


def test_the_container_runs_as_nobody_and_can_write_only_its_data():
    spec = pod()
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
    }
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/var/lib/palisade"]
    assert container["command"] == ["palisade", "serve", "--config", "/etc/palisade/config/config.yaml"]


def test_no_service_account_token_is_mounted():
    objects = manifests()
    assert objects["Deployment", "pdp-palisade"]["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert objects["ServiceAccount", "pdp-palisade"]["automountServiceAccountToken"] is False


def test_probes_ask_the_admin_port():
    [container] = pod()["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"grpc": 8180, "http": 8181, "admin": 8182}
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": {"path": "/livez", "port": "admin"},
        "livenessProbe": {"path": "/livez", "port": "admin"},
        "readinessProbe": {"path": "/readyz", "port": "admin"},
    }


def test_the_configuration_holds_the_contract_of_the_server():
    assert config() == {
        "bundle": "/etc/palisade/bundle",
        "data": "/var/lib/palisade",
        "listen": {"grpc": "0.0.0.0:8180", "http": "0.0.0.0:8181", "admin": "0.0.0.0:8182"},
        "callers": [CALLER],
        "log": {"format": "json"},
    }
    six = {"grpc": "[::]:8180", "http": "[::]:8181", "admin": "[::]:8182"}
    assert config(bindAddress="[::]")["listen"] == six
    assert config(telemetry={"otlpEndpoint": "http://c:4317"})["telemetry"] == {"otlp_endpoint": "http://c:4317"}


def test_more_configuration_is_taken_but_does_not_open_the_ports():
    extra = {"limits": {"batch_len_max": 8}, "callers": [], "listen": {"grpc": "0.0.0.0:1"}}
    given = config(config={"extra": extra})
    assert given["limits"] == {"batch_len_max": 8}
    assert (given["callers"], given["listen"]["grpc"]) == ([CALLER], "0.0.0.0:8180")


def test_tasks_are_configured_as_the_server_reads_them():
    tasks = {"issuer": "https://pdp.acme.example", "signing": {"rotate_days": 7}}
    assert config(tasks=tasks)["tasks"] == tasks
    assert "tasks" not in config()
    # Also where only the rest of the configuration is given, which may say more of the listener.
    extra = {"tasks": tasks, "listen": {"http": "0.0.0.0:1", "http_hosts": ["pdp.acme.example"]}}
    given = config(config={"extra": extra})
    assert given["tasks"] == tasks
    assert (given["listen"]["http"], given["listen"]["http_hosts"]) == ("0.0.0.0:8181", ["pdp.acme.example"])


def test_callers_may_be_known_by_signed_tokens_of_a_trusted_issuer():
    trust = {"audience": ["https://pdp.acme.example"], "issuers": [{"issuer": "https://idp.acme.example", "human": {}}]}
    caller = {key: value for key, value in CALLER.items() if key != "token_sha256"}
    caller |= {"jwt": {"issuer": "https://idp.acme.example", "sub": "crm-gateway"}, "roles": ["authorize", "attest"]}
    given = config(callers=[caller], config={"extra": {"trust": trust}})
    assert (given["callers"], given["trust"]) == ([caller], trust)


def test_the_configuration_may_come_from_a_secret_of_the_operators():
    objects = manifests(callers=[], config={"existingSecret": "mine"})
    assert not [kind for kind, _ in objects if kind == "Secret"]
    template = objects["Deployment", "pdp-palisade"]["spec"]["template"]
    assert template["spec"]["volumes"][0]["secret"]["secretName"] == "mine"
    assert "checksum/config" not in (template["metadata"]["annotations"] or {})


def test_the_bundle_stands_in_its_folders_byte_for_byte():
    assert mounted(manifests()) == BUNDLE


def test_the_bundle_is_one_volume_without_sub_paths_so_that_an_edit_is_one_swap():
    [container] = pod()["containers"]
    assert not [mount for mount in container["volumeMounts"] if "subPath" in mount]
    inside = [mount["mountPath"] for mount in container["volumeMounts"] if mount["mountPath"].startswith("/etc/palisade/bundle")]
    assert inside == ["/etc/palisade/bundle"]


def test_the_bundle_may_come_from_existing_config_maps():
    items = [{"key": "main", "path": "schemas/main.cedarschema"}]
    objects = manifests(bundle={"existingConfigMaps": [{"name": "acme", "items": items}]})
    assert not [kind for kind, _ in objects if kind == "ConfigMap"]
    volumes = objects["Deployment", "pdp-palisade"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[1]["projected"]["sources"] == [{"configMap": {"name": "acme", "items": items}}]


def as_values_yaml_shows_it():
    """The `--set-file` arguments that the shell lines in values.yaml make of this repository's bundle."""
    comment = (CHART / "values.yaml").read_text()
    lines = re.search(r"^  #   args=\(\)\n(  #  .*\n)+?(?=  #   helm )", comment, re.MULTILINE).group(0)
    script = re.sub(r"^  #", "", lines, flags=re.MULTILINE) + 'printf "%s\\n" "${args[@]}"\n'
    shown = subprocess.run(["bash", "-euc", script], cwd=ROOT, check=True, capture_output=True, text=True)
    return [line for line in shown.stdout.splitlines() if line != "--set-file"]


def test_the_shipped_bundle_fits_as_values_yaml_shows_it():
    files = {}
    for argument in as_values_yaml_shows_it():
        key, path = argument.split("=", 1)
        files |= helm.parse_set_file(f"{key}={ROOT / path}")["bundle"]["files"]

    objects = manifests(bundle={"files": files})

    seen = mounted(objects)
    assert {name.split("/")[0] for name in seen} == {"schemas", "policies", "entities", "tools"}
    assert seen == {name: (ROOT / name).read_text() for name in files}
    for (kind, name), manifest in objects.items():
        if kind == "ConfigMap":
            held = sum(len(key.encode()) + len(text.encode()) for key, text in manifest["data"].items())
            assert held < CONFIG_MAP_BYTES_MAX, f"{name} holds {held} bytes"


def test_an_edited_policy_changes_the_config_map_and_not_the_pod():
    edited = {"files": BUNDLE | {"policies/guard.cedar": "permit (principal, action, resource);\n"}}
    before, after = manifests(), manifests(bundle=edited)
    assert before["Deployment", "pdp-palisade"] == after["Deployment", "pdp-palisade"]
    assert mounted(before) != mounted(after)


@pytest.mark.parametrize("changes", [{"callers": [CALLER, CALLER | {"name": "second"}]}, {"config": {"extra": {"limits": {}}}}])
def test_a_changed_configuration_changes_the_pod(changes):
    assert deployment()["spec"]["template"] != deployment(**changes)["spec"]["template"]


def test_the_data_outlives_the_release_unless_told_otherwise():
    claim = manifests()["PersistentVolumeClaim", "pdp-palisade-data"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert pod()["volumes"][2]["persistentVolumeClaim"] == {"claimName": "pdp-palisade-data"}
    assert pod(persistence={"existingClaim": "mine"})["volumes"][2]["persistentVolumeClaim"] == {"claimName": "mine"}
    trial = manifests(persistence={"enabled": False})
    assert not [kind for kind, _ in trial if kind == "PersistentVolumeClaim"]


def test_the_admin_port_is_never_on_the_service_that_may_be_public():
    objects = manifests(service={"type": "LoadBalancer"})
    public, admin = objects["Service", "pdp-palisade"]["spec"], objects["Service", "pdp-palisade-admin"]["spec"]
    assert (public["type"], [port["name"] for port in public["ports"]]) == ("LoadBalancer", ["grpc", "http"])
    assert (admin["type"], [port["name"] for port in admin["ports"]]) == ("ClusterIP", ["admin"])
    labels = objects["Deployment", "pdp-palisade"]["spec"]["template"]["metadata"]["labels"]
    assert public["selector"].items() <= labels.items()
    assert admin["selector"].items() <= labels.items()


def test_a_network_policy_lets_in_the_namespace_by_default_and_nothing_out():
    spec = manifests(networkPolicy={"enabled": True})["NetworkPolicy", "pdp-palisade"]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [(rule["from"], rule["ports"][0]["port"]) for rule in spec["ingress"]] == [
        ([{"podSelector": {}}], "grpc"),
        ([{"podSelector": {}}], "http"),
        ([{"podSelector": {}}], "admin"),
    ]
    assert spec["egress"] == []


def test_the_notes_tell_how_to_ask_and_warn_of_lost_records():
    [notes] = [text for path, text in render().items() if path.endswith("NOTES.txt")]
    assert "palisade.v1.Authorization/Authorize" in notes
    assert "port-forward service/pdp-palisade 8180:8180" in notes
    assert "WARNING" not in notes
    [trial] = [text for path, text in render(persistence={"enabled": False}).items() if path.endswith("NOTES.txt")]
    assert "lost with the pod" in trial
