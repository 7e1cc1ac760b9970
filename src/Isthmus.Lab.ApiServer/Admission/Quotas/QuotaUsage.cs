using System.Numerics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Admission.Quotas;

/// <summary>What objects take of quotas, by the names that ResourceQuotas have. Amounts are in units of 10⁻⁹. Pure.</summary>
internal static class QuotaUsage
{
    private const string Count = "count/", Requests = "requests.", Limits = "limits.", Storage = "storage";

    private static readonly BigInteger One = 1_000_000_000;

    /// <summary>The kinds that quotas may count by their plain names, too.</summary>
    private static readonly string[] Plain =
        ["configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services"];

    private static readonly GroupResource Claims = new("", "persistentvolumeclaims");

    /// <summary>The kind whose objects a name of a quota is about.</summary>
    public static GroupResource ResourceOf(string name)
    {
        if (name.StartsWith(Count, StringComparison.Ordinal))
            return name[Count.Length..].Split('.', 2) is [var plural, var group] ? new(group, plural) : new("", name[Count.Length..]);
        return name is "services.nodeports" or "services.loadbalancers" ? Resources.Services
            : name == Requests + Storage ? Claims
            : Plain.Contains(name) ? new("", name)
            : Resources.Pods;
    }

    public static Dictionary<string, BigInteger> Of(GroupResource resource, JsonObject o)
    {
        var used = new Dictionary<string, BigInteger>(StringComparer.Ordinal)
        {
            [$"{Count}{resource}"] = One,
        };
        if (resource == Resources.Pods)
        {
            // What has ended needs nothing any more.
            if (o.TextAt("status", "phase") is "Succeeded" or "Failed") return used;
            foreach (var (name, amount) in Total(o, "requests")) used[name] = used[Requests + name] = amount;
            foreach (var (name, amount) in Total(o, "limits")) used[Limits + name] = amount;
        }
        if (resource.Group.Length == 0 && Plain.Contains(resource.Plural)) used[resource.Plural] = One;
        if (resource == Resources.Services)
        {
            var type = o.TextAt("spec", "type");
            if (type == "LoadBalancer") used["services.loadbalancers"] = One;
            if (type == "NodePort" || (type == "LoadBalancer" && Json.Truth(o.At("spec", "allocateLoadBalancerNodePorts")) != false))
                used["services.nodeports"] = One * Json.Objects(o.At("spec", "ports")).Count();
        }
        if (resource == Claims && Quantity.Nanos(o.TextAt("spec", "resources", "requests", Storage)) is { } size) used[Requests + Storage] = size;
        return used;
    }

    /// <summary>The containers of a Pod that do not say what a quota limits: <c>requests.cpu for: a,b; limits.cpu for: a</c>; null: all do.</summary>
    /// <param name="pod">The Pod.</param>
    /// <param name="names">Those of the quota.</param>
    public static string? Unsaid(JsonObject pod, IEnumerable<string> names)
    {
        var all = Containers(pod, "containers").Concat(Containers(pod, "initContainers")).ToList();
        var unsaid = names.Where(name => name is "cpu" or "memory" or "requests.cpu" or "requests.memory" or "limits.cpu" or "limits.memory")
            .Order(StringComparer.Ordinal).Select(name => (Name: name, Containers: all.Where(container => !Says(container, name)).ToList()))
            .Where(item => item.Containers.Count > 0)
            .Select(item => $"{item.Name} for: {string.Join(',', item.Containers.Select(container => Json.Text(container["name"])))}").ToList();
        return unsaid.Count == 0 ? null : string.Join("; ", unsaid);

        static bool Says(JsonObject container, string name) =>
            container.At("resources", name.StartsWith(Limits, StringComparison.Ordinal) ? "limits" : "requests", name[(name.IndexOf('.') + 1)..]) is not null;
    }

    /// <summary>What a Pod needs while it starts, and then: init containers run one after another, and those that go on running stay.</summary>
    internal static Dictionary<string, BigInteger> Total(JsonObject pod, string kind)
    {
        var (staying, start) = (new Dictionary<string, BigInteger>(StringComparer.Ordinal), new Dictionary<string, BigInteger>(StringComparer.Ordinal));
        foreach (var container in Containers(pod, "initContainers"))
        {
            var own = Amounts(container.At("resources", kind));
            var stays = Json.Text(container["restartPolicy"]) == "Always";
            if (stays) Add(staying, own);
            var now = new Dictionary<string, BigInteger>(staying, StringComparer.Ordinal);
            if (!stays) Add(now, own);
            foreach (var (name, amount) in now) start[name] = BigInteger.Max(start.GetValueOrDefault(name), amount);
        }
        foreach (var container in Containers(pod, "containers")) Add(staying, Amounts(container.At("resources", kind)));
        foreach (var (name, amount) in start) staying[name] = BigInteger.Max(staying.GetValueOrDefault(name), amount);
        Add(staying, Amounts(pod.At("spec", "overhead")));
        return staying;
    }

    private static void Add(Dictionary<string, BigInteger> to, Dictionary<string, BigInteger> amounts)
    {
        foreach (var (name, amount) in amounts) to[name] = to.GetValueOrDefault(name) + amount;
    }

    internal static Dictionary<string, BigInteger> Amounts(JsonNode? amounts) => (amounts as JsonObject ?? [])
        .ToDictionary(item => item.Key, item => Quantity.Nanos(item.Value?.ToString() ?? "") ?? 0, StringComparer.Ordinal);

    private static IEnumerable<JsonObject> Containers(JsonObject pod, string list) => Json.Objects(pod.At("spec", list));
}
