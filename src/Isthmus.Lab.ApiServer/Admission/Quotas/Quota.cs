using System.Numerics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Storage;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Quotas;

/// <summary>A ResourceQuota: how much the objects of its namespace may use.</summary>
internal sealed class Quota(StoredObject stored)
{
    public static readonly GroupResource Resource = new("", "resourcequotas");

    private readonly JsonNode? _spec = stored.Parse()["spec"];

    public StoredObject Stored => stored;

    /// <summary>The limits, as they are written.</summary>
    public IReadOnlyDictionary<string, string> Hard =>
        field ??= (_spec.At("hard") as JsonObject ?? []).ToDictionary(item => item.Key, item => item.Value?.ToString() ?? "", StringComparer.Ordinal);

    public bool LimitsAny(GroupResource resource) => Hard.Keys.Any(name => QuotaUsage.ResourceOf(name) == resource);

    public BigInteger LimitOf(string name) => Quantity.Nanos(Hard[name]) ?? 0;

    /// <summary>An amount as the limit of that name is written.</summary>
    public string TextOf(string name, BigInteger nanos)
    {
        var unit = new BigInteger(1_000_000_000) * 1024;
        return (Hard[name].EndsWith('i') && nanos % unit == 0 ? Quantity.Canonical($"{nanos / unit}Ki") : Quantity.Canonical($"{nanos}n")) ?? "0";
    }

    /// <summary>Whether an object counts: scopes choose among Pods, and leave everything else out.</summary>
    public bool Counts(GroupResource resource, JsonObject o)
    {
        var scopes = Json.Texts(_spec.At("scopes")).ToList();
        var rules = Json.Objects(_spec.At("scopeSelector", "matchExpressions")).ToList();
        if (scopes.Count == 0 && rules.Count == 0) return true;
        return resource == Resources.Pods && scopes.All(scope => IsIn(scope, o)) && rules.All(rule => Fits(rule, o));
    }

    private static bool Fits(JsonObject rule, JsonObject pod)
    {
        var scope = Json.Text(rule["scopeName"]);
        if (scope != "PriorityClass") return IsIn(scope, pod);
        var (priority, values) = (pod.TextAt("spec", "priorityClassName"), Json.Texts(rule["values"]));
        return Json.Text(rule["operator"]) switch
        {
            "In" => values.Contains(priority),
            "NotIn" => !values.Contains(priority),
            "Exists" => priority.Length > 0,
            _ => priority.Length == 0,
        };
    }

    private static bool IsIn(string scope, JsonObject pod)
    {
        var ends = Json.Whole(pod.At("spec", "activeDeadlineSeconds")) is not null;
        var asksNothing = pod.TextAt("status", "qosClass") == "BestEffort";
        return scope switch
        {
            "Terminating" => ends, "NotTerminating" => !ends, "BestEffort" => asksNothing, "NotBestEffort" => !asksNothing, _ => false,
        };
    }
}
