"""The rules for everything that the chart renders. Each returns a line for each violation."""

import re
from collections.abc import Callable, Iterator, Sequence

from chassis.config.declare import is_secret
from chassis.config.settings import ProgramSettings
from fc.audit.settings import Settings as Auditor
from fc.stack.programs import process_class
from tests.helm.render import Object, environment, labels, of_kind, pods, selects, title, workloads

Lines = Iterator[str]

_PINNED = re.compile(r"[\w./-]+:(v?\d+\.\d+(\.\d+)?(-[\w.]+)?|local)")
CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def confined(objects: Sequence[Object]) -> Lines:
    for one, spec, container in pods(objects):
        security = container.get("securityContext", {})
        if not CONFINED.items() <= security.items() or not POD.items() <= spec.get("securityContext", {}).items():
            yield f"{title(one)}: is not confined"
        if not spec["securityContext"].get("runAsUser"):
            yield f"{title(one)}: runs as root, or as whom the image says"
        if one["kind"] != "StatefulSet" and not security.get("readOnlyRootFilesystem"):
            yield f"{title(one)}: can write to its image"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{title(one)}: has a token of the cluster"
        if spec.get("enableServiceLinks") is not False:
            yield f"{title(one)}: gets settings that are the names of Services"
        if not _PINNED.fullmatch(container["image"]):
            yield f"{title(one)}: the image {container['image']} is not pinned"


def limited(objects: Sequence[Object]) -> Lines:
    for one, _, container in pods(objects):
        resources = container.get("resources", {})
        memory = resources.get("limits", {}).get("memory")
        if memory is None or memory != resources.get("requests", {}).get("memory"):
            yield f"{title(one)}: its memory is not limited to what is reserved"
        if not resources.get("requests", {}).get("cpu"):
            yield f"{title(one)}: reserves no processor"


PROBES = {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}


def probed(objects: Sequence[Object]) -> Lines:
    for one, _, container in pods(objects):
        ports = {port["name"] for port in container.get("ports", [])}
        if one["kind"] == "StatefulSet" and not {"startupProbe", "readinessProbe"} <= set(container):
            yield f"{title(one)}: is not probed"
        for probe, path in PROBES.items() if one["kind"] == "Deployment" else ():
            if container.get(probe, {}).get("httpGet") != {"path": path, "port": "management"}:
                yield f"{title(one)}: its {probe} does not ask {path}"
            elif "management" not in ports:
                yield f"{title(one)}: its {probe} asks a port that it has not"


def stopped_in_order(objects: Sequence[Object]) -> Lines:
    for one, spec, container in pods(of_kind(objects, "Deployment")):
        drain = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
        stop = int(environment(objects, one).get("SHUTDOWN_TIMEOUT_S", 20))
        if spec["terminationGracePeriodSeconds"] <= drain + stop:
            yield f"{title(one)}: is killed before it has stopped"
        if one["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"{title(one)}: is away during an upgrade"


def _workload_selectors(objects: Sequence[Object]) -> Lines:
    for one in of_kind(objects, "Deployment", "StatefulSet"):
        selector = one["spec"]["selector"]["matchLabels"]
        if [other for other in workloads(objects) if selects(selector, other)] != [one]:
            yield f"{title(one)}: its selector does not select its pods alone"


def _service_selectors(objects: Sequence[Object]) -> Lines:
    for one in of_kind(objects, "Service"):
        wanted = {port["targetPort"] for port in one["spec"]["ports"]}
        chosen = [each for each in pods(objects) if selects(one["spec"]["selector"], each[0])]
        offered = [{port["name"] for port in container["ports"]} for _, _, container in chosen]
        if not chosen or not all(wanted <= ports for ports in offered):
            yield f"{title(one)}: leads to no pod, or to a port that it has not"


def _other_selectors(objects: Sequence[Object]) -> Lines:
    for one in of_kind(objects, "PodDisruptionBudget", "NetworkPolicy"):
        spec = one["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        if not any(selects(selector["matchLabels"], each) for each in workloads(objects)):
            yield f"{title(one)}: selects no pod"
    deployments = {each["metadata"]["name"] for each in of_kind(objects, "Deployment")}
    for one in of_kind(objects, "HorizontalPodAutoscaler"):
        if one["spec"]["scaleTargetRef"]["name"] not in deployments:
            yield f"{title(one)}: scales nothing"


def selectors_match(objects: Sequence[Object]) -> Lines:
    yield from _workload_selectors(objects)
    yield from _service_selectors(objects)
    yield from _other_selectors(objects)


def _replicas(objects: Sequence[Object], deployment: Object) -> int:
    name = deployment["metadata"]["name"]
    scaled = [one["spec"] for one in of_kind(objects, "HorizontalPodAutoscaler") if one["metadata"]["name"] == name]
    return int(scaled[0]["minReplicas"] if scaled else deployment["spec"].get("replicas", 1))


def nodes_can_be_emptied(objects: Sequence[Object]) -> Lines:
    """One pod of several stays; of a single one nothing can stay, so it has no budget."""
    budgets = of_kind(objects, "PodDisruptionBudget")
    for one in of_kind(objects, "Deployment"):
        kept = [
            each["spec"]["minAvailable"] for each in budgets if selects(each["spec"]["selector"]["matchLabels"], one)
        ]
        if kept != ([1] if _replicas(objects, one) > 1 else []):
            yield f"{title(one)}: a node's drain would stop all of it, or would wait for ever"
        scaled = {each["metadata"]["name"] for each in of_kind(objects, "HorizontalPodAutoscaler")}
        if "replicas" in one["spec"] and one["metadata"]["name"] in scaled:
            yield f"{title(one)}: each upgrade would undo its scaling"


def _references(spec: Object, container: Object) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", spec.get("serviceAccountName", "")
    for source in container.get("envFrom", []):
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source:
                yield kind, source[key]["name"]


def hooks_in_order(objects: Sequence[Object]) -> Lines:
    """A hook runs before the release: what it needs is a hook with a smaller weight, or not of this chart."""

    def weight(one: Object) -> int | None:
        notes = one["metadata"].get("annotations", {})
        return int(notes["helm.sh/hook-weight"]) if "helm.sh/hook" in notes else None

    weights = {(one["kind"], one["metadata"]["name"]): weight(one) for one in objects}
    for one, spec, container in pods(of_kind(objects, "Job")):
        own = weight(one)
        if own is None:
            continue
        for kind, name in _references(spec, container):
            needed = weights.get((kind, name), None if kind != "Secret" else own - 1)
            if needed is None or needed >= own:
                yield f"{title(one)}: needs {kind} {name}, which is not there yet"
        if container["args"] == ["migrate"] and any(
            (weight(other) or 0) >= own
            for other in of_kind(objects, "Job")
            if other["metadata"]["name"].endswith("-topics")
        ):
            yield f"{title(one)}: does not come after the topics"
    if len({weight(one) is None for one in of_kind(objects, "Job")}) > 1:
        yield "some jobs are hooks and some are not"


def references_resolve(objects: Sequence[Object]) -> Lines:
    """A Secret may be one that exists already; everything else is of this chart."""
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for one, spec, container in pods(of_kind(objects, "Deployment", "Job", "CronJob")):
        for kind, name in _references(spec, container):
            if kind != "Secret" and (kind, name) not in there:
                yield f"{title(one)}: {kind} {name} is not there"
    for one in of_kind(objects, "Ingress"):
        for rule in one["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                if ("Service", path["backend"]["service"]["name"]) not in there:
                    yield f"{title(one)}: {path['path']} leads nowhere"


def settings_of(name: str) -> type[ProgramSettings]:
    """Return the settings class of a service, the console or the auditor."""
    return Auditor if name == Auditor.service else process_class(name)


def secrets_stay_secret(objects: Sequence[Object]) -> Lines:
    """No secret stands in a ConfigMap or in the specification of a pod, and only `migrate` has that of the owner."""
    for one, _, container in pods(of_kind(objects, "Deployment", "Job", "CronJob")):
        fields = settings_of(labels(one)["app.kubernetes.io/name"]).model_fields
        shown = {each["name"] for each in container.get("env", [])}
        for source in of_kind(objects, "ConfigMap"):
            if ("ConfigMap", source["metadata"]["name"]) in set(_references({}, container)):
                shown |= set(source["data"])
        for name in sorted(shown & {name.upper() for name, field in fields.items() if is_secret(field)}):
            yield f"{title(one)}: shows {name}"
        if container.get("args") != ["migrate"] and "DB_MIGRATION_PASSWORD" in environment(objects, one):
            yield f"{title(one)}: has the password of the tables' owner"


def runs_alone_and_ends(objects: Sequence[Object]) -> Lines:
    """What runs by the clock runs once at a time, is ended when it hangs, and leaves little behind."""
    for one in of_kind(objects, "CronJob"):
        spec, job = one["spec"], one["spec"]["jobTemplate"]["spec"]
        if spec.get("concurrencyPolicy") != "Forbid":
            yield f"{title(one)}: may run beside itself"
        if not job.get("activeDeadlineSeconds") or job.get("backoffLimit", 6) > 2:
            yield f"{title(one)}: may run without end"
        kept = [spec.get(f"{kind}JobsHistoryLimit", 0) for kind in ("successful", "failed")]
        if not job.get("ttlSecondsAfterFinished") or not all(1 <= number <= 5 for number in kept):
            yield f"{title(one)}: keeps too many runs, or none"


def nobody_is_let_in_by_chance(objects: Sequence[Object]) -> Lines:
    """A rule without `from` is for everybody. Each pod of a service has a policy for both directions."""
    policies = of_kind(objects, "NetworkPolicy")
    for one in policies:
        is_service = "Egress" in one["spec"]["policyTypes"]
        rules = one["spec"]["ingress"] or []
        if any(not rule.get("from") or (is_service and not rule.get("ports")) for rule in rules):
            yield f"{title(one)}: lets everybody in"
        if any(not rule.get("ports") for rule in one["spec"].get("egress", [])):
            yield f"{title(one)}: lets everything out"
    for one in workloads(objects) if policies else ():
        found = [each["spec"] for each in policies if selects(each["spec"]["podSelector"]["matchLabels"], one)]
        if len(found) != 1 or "Ingress" not in found[0]["policyTypes"]:
            yield f"{title(one)}: has no policy, or several"


POLICIES: Sequence[Callable[[Sequence[Object]], Lines]] = (
    confined,
    limited,
    probed,
    stopped_in_order,
    selectors_match,
    nodes_can_be_emptied,
    hooks_in_order,
    references_resolve,
    secrets_stay_secret,
    runs_alone_and_ends,
    nobody_is_let_in_by_chance,
)


def violations(objects: Sequence[Object]) -> list[str]:
    """Name every violation of a rule."""
    return [line for policy in POLICIES for line in policy(objects)]
