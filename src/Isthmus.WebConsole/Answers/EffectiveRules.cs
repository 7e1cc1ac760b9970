using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose.Analysis;

namespace Isthmus.WebConsole.Answers;

/// <summary>The service that rules are sought for.</summary>
/// <param name="Pods">The labels of each Pod behind it.</param>
internal sealed record RuleSubject(string Namespace, string Name, IReadOnlyList<Dictionary<string, string>> Pods, string RootNamespace)
{
    public string Host => $"{Name}.{Namespace}.svc.{WellKnown.DefaultDomainSuffix}";

    /// <summary>Whether a host of an object in a namespace means the service.</summary>
    public bool IsMeantBy(string host, string ns) =>
        host == Host || host == $"{Name}.{Namespace}" || host == $"{Name}.{Namespace}.svc" || (host == Name && ns == Namespace)
        || (host.StartsWith('*') && Host.EndsWith(host[1..], StringComparison.Ordinal));
}

/// <summary>Which objects of Istio and of the Gateway API decide what happens to calls of a service, as a pure function.</summary>
internal static class EffectiveRules
{
    private const string Routed = "routes calls of the service";

    public static readonly IReadOnlyList<KindDescriptor> Kinds = [.. MeshApi.For(KindUse.ConsoleRules)];

    /// <summary>Those of the Gateway API.</summary>
    private static readonly HashSet<string> Routes = [.. Kinds.Where(kind => kind.IsOfGatewayApi).Select(kind => kind.Kind)];

    /// <summary>The rules of one cluster, with what each does.</summary>
    public static IReadOnlyList<RuleRow> Of(string cluster, IEnumerable<JsonObject> objects, RuleSubject subject) =>
        [.. objects.Select(value => (Value: value, Effect: Effect(value, subject))).Where(item => item.Effect.Length > 0)
            .Select(item => Row(cluster, item.Value, item.Effect))];

    /// <summary>Marks rules that another one overrides, or that other clusters have in another form.</summary>
    public static IReadOnlyList<RuleRow> Mark(IReadOnlyList<RuleRow> rows) => [.. rows.Select(row => row with { Conflict = Conflict(row, rows) })];

    private static RuleRow Row(string cluster, JsonObject value, string effect)
    {
        var shown = (JsonObject)value.DeepClone();
        if (shown["metadata"] is JsonObject meta)
            foreach (var field in (string[])["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"]) meta.Remove(field);
        shown.Remove("status");
        return new(cluster, Text(value["kind"]), Text(value["metadata"]?["namespace"]), Text(value["metadata"]?["name"]), effect + Faults(value), "",
            YamlText.Print(shown)) { Rule = effect };
    }

    private static string Effect(JsonObject value, RuleSubject subject)
    {
        var (kind, ns, spec) = (Text(value["kind"]), Text(value["metadata"]?["namespace"]), value["spec"]);
        return kind switch
        {
            "VirtualService" when Texts(spec?["hosts"]).Any(host => subject.IsMeantBy(host, ns)) => $"{Routed}{Gateways(spec)}",
            "VirtualService" when Destinations(spec)
                .Any(host => subject.IsMeantBy(host, ns)) => $"routes calls of {string.Join(", ", Texts(spec?["hosts"]))} to it{Gateways(spec)}",
            "DestinationRule" when subject.IsMeantBy(Text(spec?["host"]), ns) => string.Join(", ", Policies(spec)) is { Length: > 0 } policies
                ? $"sets {policies}"
                : "sets nothing",
            "PeerAuthentication" when Selects(ns, spec,
                subject) => $"mutual TLS {(Text(spec?["mtls"]?["mode"]) is { Length: > 0 } mode ? mode : "as inherited")}{Scope(ns, spec, subject)}",
            "RequestAuthentication" when Selects(ns, spec,
                subject) =>
                $"tokens of {string.Join(", ", (spec?["jwtRules"] as JsonArray ?? []).Select(rule => Text(rule?["issuer"])))}{Scope(ns, spec, subject)}",
            "AuthorizationPolicy" when Selects(ns, spec,
                subject) =>
                $"{(Text(spec?["action"]) is { Length: > 0 } action ? action : "ALLOW")}, {(spec?["rules"] as JsonArray)?.Count ?? 0} "
                    + $"rules{Scope(ns, spec, subject)}",
            _ when Routes.Contains(kind) => OfRoute(spec, ns, subject),
            _ => "",
        };
    }

    /// <summary>A route of the Gateway API.</summary>
    private static string OfRoute(JsonNode? spec, string ns, RuleSubject subject)
    {
        var parents = (spec?["parentRefs"] as JsonArray ?? []).OfType<JsonObject>().ToList();
        // A route of another namespace is for the callers there.
        if (parents.Exists(parent => Text(parent["kind"]) == "Service" && IsSubject(parent, ns, subject)))
            return ns == subject.Namespace ? Routed : $"{Routed}, from namespace {ns}";
        var leads = (spec?["rules"] as JsonArray ?? []).SelectMany(rule => rule?["backendRefs"] as JsonArray ?? []).OfType<JsonObject>()
            .Any(backend => Text(backend["kind"]) is "" or "Service" && IsSubject(backend, ns, subject));
        if (!leads) return "";
        var hosts = Texts(spec?["hostnames"]).ToList();
        var through = string.Join(", ", parents.Select(parent => NameOf(parent, ns)).Distinct());
        return $"routes calls of {(hosts.Count > 0 ? string.Join(", ", hosts) : "every host")} to it, through {through}";
    }

    private static bool IsSubject(JsonObject reference, string ns, RuleSubject subject) => NameOf(reference, ns) == $"{subject.Namespace}/{subject.Name}";

    private static string NameOf(JsonObject reference, string ns) =>
        $"{(Text(reference["namespace"]) is { Length: > 0 } other ? other : ns)}/{Text(reference["name"])}";

    private static string Conflict(RuleRow row, IReadOnlyList<RuleRow> rows)
    {
        var others = rows.Where(other => other.Kind == row.Kind && other != row).ToList();
        if (others.FirstOrDefault(other => other.Cluster != row.Cluster && other.Namespace == row.Namespace && other.Name == row.Name
            && other.Yaml != row.Yaml) is { } different)
            return $"{different.Cluster} has another version of it";
        var here = others.Where(other => other.Cluster == row.Cluster).ToList();
        return row.Kind switch
        {
            "VirtualService" when row.Rule.StartsWith(Routed, StringComparison.Ordinal) && here.FirstOrDefault(other => other.Rule == row.Rule) is { } other =>
                $"VirtualService {other.Namespace}/{other.Name} is for the same host: only one of the two has an effect",
            "PeerAuthentication" when here.FirstOrDefault(other => Rank(other) > Rank(row)) is { } stronger =>
                $"PeerAuthentication {stronger.Namespace}/{stronger.Name} overrides it",
            _ => "",
        };
    }

    /// <summary>What a VirtualService does to calls on purpose.</summary>
    private static string Faults(JsonObject value) => Text(value["kind"]) == "VirtualService" && IstioConfig.Read(value, "").Value is VirtualService service
        ? string.Concat(service.Http.Select(route => InjectedFaults.Effect(route, "them")).Where(effect => effect.Length > 0).Distinct()
            .Select(effect => $"; {effect}"))
        : "";

    /// <summary>A narrower scope wins.</summary>
    private static int Rank(RuleRow row) =>
        row.Effect.EndsWith("for some Pods", StringComparison.Ordinal) ? 2 : row.Effect.EndsWith("for the namespace", StringComparison.Ordinal) ? 1 : 0;

    private static string Scope(string ns, JsonNode? spec, RuleSubject subject) =>
        spec?["selector"]?["matchLabels"] is JsonObject { Count: > 0 }
            ? ", for some Pods"
            : ns == subject.RootNamespace && ns != subject.Namespace
            ? ", for the mesh"
            : ", for the namespace";

    private static bool Selects(string ns, JsonNode? spec, RuleSubject subject)
    {
        if (ns != subject.Namespace && ns != subject.RootNamespace) return false;
        var labels = (spec?["selector"]?["matchLabels"] as JsonObject ?? []).ToDictionary(pair => pair.Key, pair => Text(pair.Value), StringComparer.Ordinal);
        return labels.Count == 0 || subject.Pods.Any(pod => LabelSelector.Selects(labels, pod));
    }

    private static IEnumerable<string> Policies(JsonNode? spec)
    {
        if (spec?["trafficPolicy"] is JsonObject policy)
            foreach (var (name, value) in policy) yield return name == "tls" ? $"tls {Text(value?["mode"])}" : name;
        if (spec?["subsets"] is JsonArray { Count: > 0 } subsets) yield return $"subsets {string.Join(", ", subsets.Select(subset => Text(subset?["name"])))}";
    }

    private static IEnumerable<string> Destinations(JsonNode? spec) =>
        ((string[])["http", "tcp", "tls"]).SelectMany(list => spec?[list] as JsonArray ?? []).SelectMany(rule => rule?["route"] as JsonArray ?? [])
            .Select(route => Text(route?["destination"]?["host"]));

    private static string Gateways(JsonNode? spec) =>
        Texts(spec?["gateways"]).Where(gateway => gateway != "mesh").ToList() is { Count: > 0 } gateways ? $", through {string.Join(", ", gateways)}" : "";

    private static IEnumerable<string> Texts(JsonNode? list) => (list as JsonArray ?? []).Select(Text);

    private static string Text(JsonNode? node) => node?.ToString() ?? "";
}
