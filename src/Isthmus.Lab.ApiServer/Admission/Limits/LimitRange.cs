using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Admission.Quotas;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Limits;

/// <summary>A LimitRange: what containers of its namespace get if they say nothing, and what containers, Pods and claims may ask for. Pure.</summary>
internal sealed class LimitRange(JsonObject stored)
{
    private const string OfContainers = "Container", OfPods = "Pod", OfClaims = "PersistentVolumeClaim";

    private IEnumerable<JsonObject> Limits => Json.Objects(stored.At("spec", "limits"));

    /// <summary>Sets what the containers of a Pod do not say.</summary>
    /// <returns>What was set, as the annotation of the API server says it; empty when nothing was.</returns>
    public string SetDefaults(JsonObject pod)
    {
        var set = new List<string>();
        foreach (var (list, kind) in ((string, string)[])[("initContainers", "init container"), ("containers", "container")])
        {
            foreach (var container in Json.Objects(pod.At("spec", list)))
            {
                Set(container, "requests", "defaultRequest", $" request for {kind} ");
                Set(container, "limits", "default", $" limit for {kind} ");
            }
        }
        return string.Join("; ", set);

        void Set(JsonObject container, string list, string field, string of)
        {
            var names = new List<string>();
            foreach (var (resource, amount) in Limits.Where(limit => Json.Text(limit["type"]) == OfContainers)
                .SelectMany(limit => limit[field] as JsonObject ?? []))
            {
                if (container.At("resources", list, resource) is not null) continue;
                container.Ensure("resources").Ensure(list)[resource] = amount?.DeepClone();
                names.Add(resource);
            }
            if (names.Count > 0) set.Add(string.Join(", ", names.Order(StringComparer.Ordinal)) + of + Json.Text(container["name"]));
        }
    }

    /// <summary>What of a Pod or claim is outside of the limits, as the API server says it.</summary>
    public IEnumerable<string> Faults(GroupResource resource, JsonObject o)
    {
        foreach (var limit in Limits)
        {
            var found = (Json.Text(limit["type"]), resource == Resources.Pods) switch
            {
                (OfContainers, true) => Json.Objects(o.At("spec", "containers")).Concat(Json.Objects(o.At("spec", "initContainers")))
                    .SelectMany(container => Faults(limit, QuotaUsage.Amounts(container.At("resources", "requests")),
                        QuotaUsage.Amounts(container.At("resources", "limits")))),
                (OfPods, true) => Faults(limit, QuotaUsage.Total(o, "requests"), QuotaUsage.Total(o, "limits")),
                (OfClaims, false) => OfClaim(limit, QuotaUsage.Amounts(o.At("spec", "resources", "requests"))),
                _ => [],
            };
            foreach (var fault in found) yield return fault;
        }
    }

    private static IEnumerable<string> Faults(JsonObject limit, Dictionary<string, BigInteger> requests, Dictionary<string, BigInteger> limits)
    {
        var type = Json.Text(limit["type"]);
        foreach (var (name, least) in Given(limit, "min"))
        {
            var says = $"minimum {name} usage per {type} is {Text(least)}";
            if (!requests.TryGetValue(name, out var request)) yield return $"{says}.  No request is specified";
            else if (request < least) yield return $"{says}, but request is {Text(request)}";
            else if (limits.TryGetValue(name, out var most) && most < least) yield return $"{says}, but limit is {Text(most)}";
        }
        foreach (var (name, most) in Given(limit, "max"))
        {
            var says = $"maximum {name} usage per {type} is {Text(most)}";
            if (!limits.TryGetValue(name, out var own)) yield return $"{says}.  No limit is specified";
            else if (own > most) yield return $"{says}, but limit is {Text(own)}";
            else if (requests.TryGetValue(name, out var request) && request > most) yield return $"{says}, but request is {Text(request)}";
        }
        foreach (var (name, ratio) in Given(limit, "maxLimitRequestRatio"))
        {
            var says = $"{name} max limit to request ratio per {type} is {Text(ratio)}";
            if (!requests.TryGetValue(name, out var request) || request.IsZero) yield return $"{says}, but no request is specified or request is 0";
            else if (!limits.TryGetValue(name, out var own) || own.IsZero) yield return $"{says}, but no limit is specified or limit is 0";
            else if (own * One > ratio * request)
                yield return string.Create(CultureInfo.InvariantCulture, $"{says}, but provided ratio is {(double)own / (double)request:F6}");
        }
    }

    private static IEnumerable<string> OfClaim(JsonObject limit, Dictionary<string, BigInteger> requests)
    {
        foreach (var (name, least) in Given(limit, "min"))
        {
            var says = $"minimum {name} usage per {OfClaims} is {Text(least)}";
            if (!requests.TryGetValue(name, out var request)) yield return $"{says}.  No request is specified";
            else if (request < least) yield return $"{says}, but request is {Text(request)}";
        }
        foreach (var (name, most) in Given(limit, "max"))
        {
            var says = $"maximum {name} usage per {OfClaims} is {Text(most)}";
            if (!requests.TryGetValue(name, out var request)) yield return $"{says}.  No request is specified";
            else if (request > most) yield return $"{says}, but request is {Text(request)}";
        }
    }

    private static readonly BigInteger One = 1_000_000_000;

    private static IEnumerable<KeyValuePair<string, BigInteger>> Given(JsonObject limit, string field) =>
        QuotaUsage.Amounts(limit[field]).OrderBy(item => item.Key, StringComparer.Ordinal);

    /// <summary>Whole mebibytes and the like as they are usually written.</summary>
    private static string Text(BigInteger nanos) =>
        (nanos >= One * 1024 && nanos % (One * 1024) == 0 ? Quantity.Canonical($"{nanos / (One * 1024)}Ki") : Quantity.Canonical($"{nanos}n")) ?? "0";
}
