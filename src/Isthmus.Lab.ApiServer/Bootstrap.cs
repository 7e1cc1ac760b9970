using System.Net;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Auth;
using Isthmus.Lab.ApiServer.CustomResources;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.Values;
using Isthmus.Lab.ApiServer.Writes;
using Isthmus.Lab.Machine.Storage;

namespace Isthmus.Lab.ApiServer;

/// <summary>Creates the objects of a new cluster: its namespaces and the Service of the API itself. Runs at each start.</summary>
internal sealed class Bootstrap(ApiServerContext context, ObjectRegistry registry)
{
    private static readonly UserIdentity Self = new("system:apiserver", "", ["system:masters", "system:authenticated"], ValueMap<ValueList<string>>.Empty);

    private static readonly (string Name, int Value, string About)[] PriorityClasses =
    [
        ("system-cluster-critical", 2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
        ("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
    ];

    internal async Task RunAsync(CancellationToken stop)
    {
        await BootstrapPolicy.EnsureAsync(context.Store, context.Time.GetUtcNow(), stop);
        foreach (var name in (string[])["default", "kube-system", "kube-public", "kube-node-lease", LoadBalancerDefinitions.Namespace])
            await EnsureAsync("", "v1", "namespaces", "", new() { ["metadata"] = new JsonObject { ["name"] = name } }, stop);
        foreach (var (name, value, about) in PriorityClasses)
            await EnsureAsync("scheduling.k8s.io", "v1", "priorityclasses", "", PriorityClass(name, value, about), stop);
        await EnsureAsync("storage.k8s.io", "v1", "storageclasses", "", StorageClass(), stop);
        foreach (var definition in LoadBalancerDefinitions.All())
            await EnsureAsync("apiextensions.k8s.io", "v1", "customresourcedefinitions", "", definition, stop);
        await EnsureAsync("", "v1", "services", "default", Service(), stop);
        // A server on the loopback has no address that Pods could call.
        if (!IPAddress.TryParse(context.Settings.Address, out var address) || SharedAddress.Problem(address, context.Settings.LoopbackEndpoints) is not null)
            return;
        await EnsureAsync("", "v1", "endpoints", "default", Endpoints(), stop);
        await EnsureAsync("discovery.k8s.io", "v1", "endpointslices", "default", Slice(), stop);
    }

    private async Task EnsureAsync(string group, string version, string plural, string ns, JsonObject o, CancellationToken stop)
    {
        var kind = context.Kinds.Find(group, version, plural) ?? throw new InvalidOperationException($"{plural}: not a built-in kind");
        var name = Metadata.Name(o);
        (o["kind"], o["apiVersion"]) = (kind.Kind, kind.ApiVersion);
        var exists = context.Store.Find(kind.Storage, ns, name) is not null;
        if (exists && plural is not ("endpoints" or "endpointslices")) return;
        var attributes = new RequestAttributes(Self, exists ? "update" : "create", group, version, plural, "", ns, name, "", true);
        var request = new WriteRequest
        {
            Attributes = attributes,
            Kind = kind,
            Manager = "isthmus",
            Options = new() { ["kind"] = exists ? "UpdateOptions" : "CreateOptions", ["apiVersion"] = "meta.k8s.io/v1" },
        };
        if (exists) await registry.UpdateAsync(request, old => With(old!, o), false, stop);
        else await registry.CreateAsync(request, o, stop);
    }

    /// <summary>The address may differ from the last start.</summary>
    private static JsonObject With(JsonObject old, JsonObject wanted)
    {
        foreach (var (name, value) in wanted)
            if (name != "metadata") old[name] = value?.DeepClone();
        return old;
    }

    private static JsonObject PriorityClass(string name, int value, string about) => new()
    {
        ["metadata"] = new JsonObject { ["name"] = name },
        ["value"] = value,
        ["description"] = about,
    };

    private static JsonObject StorageClass() => new()
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = StandardStorage.Class, ["annotations"] = new JsonObject { ["storageclass.kubernetes.io/is-default-class"] = "true" }
        },
        ["provisioner"] = StandardStorage.Provisioner,
    };

    private JsonObject Service() => new()
    {
        ["metadata"] = Labelled("kubernetes"),
        ["spec"] = new JsonObject
        {
            ["type"] = "ClusterIP",
            ["clusterIP"] = FirstAddress(context.Settings.ServiceRange),
            ["clusterIPs"] = new JsonArray(FirstAddress(context.Settings.ServiceRange)),
            ["ports"] = new JsonArray(new JsonObject { ["name"] = "https", ["port"] = 443, ["protocol"] = "TCP", ["targetPort"] = context.Settings.Port }),
        },
    };

    private JsonObject Endpoints()
    {
        var metadata = Labelled("kubernetes");
        ((JsonObject)metadata["labels"]!).Clear();
        metadata["labels"]!["endpointslice.kubernetes.io/skip-mirror"] = "true";
        return new()
        {
            ["metadata"] = metadata,
            ["subsets"] = new JsonArray(new JsonObject
            {
                ["addresses"] = new JsonArray(new JsonObject { ["ip"] = context.Settings.Address }),
                ["ports"] = new JsonArray(Port()),
            }),
        };
    }

    private JsonObject Slice() => new()
    {
        ["metadata"] = new JsonObject { ["name"] = "kubernetes", ["labels"] = new JsonObject { ["kubernetes.io/service-name"] = "kubernetes" } },
        ["addressType"] = "IPv4",
        ["endpoints"] = new JsonArray(new JsonObject
        {
            ["addresses"] = new JsonArray(context.Settings.Address),
            ["conditions"] = new JsonObject { ["ready"] = true },
        }),
        ["ports"] = new JsonArray(Port()),
    };

    private JsonObject Port() => new() { ["name"] = "https", ["port"] = context.Settings.Port, ["protocol"] = "TCP" };

    private static JsonObject Labelled(string name) =>
        new() { ["name"] = name, ["labels"] = new JsonObject { ["component"] = "apiserver", ["provider"] = "kubernetes" } };

    private static string FirstAddress(string range)
    {
        var network = System.Net.IPNetwork.Parse(range);
        var bytes = network.BaseAddress.GetAddressBytes();
        bytes[^1]++;
        return new System.Net.IPAddress(bytes).ToString();
    }
}
