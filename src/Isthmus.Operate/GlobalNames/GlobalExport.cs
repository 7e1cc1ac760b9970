using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Inventory;
using Service = Isthmus.Kubernetes.Objects.Service;

namespace Isthmus.Operate.GlobalNames;

/// <summary>The ServiceEntries through which all clusters call a Service of one cluster as <c>NAME.NAMESPACE.global</c>.
/// Pure.</summary>
public static class GlobalExport
{
    /// <summary>Marks the objects that an export created, so that they can be found again.</summary>
    public const string MadeBy = $"{WellKnown.OwnDomain}/made-by", Export = "global-export";

    /// <summary>With the value <c>true</c>, a Service requests to be exported.</summary>
    public const string Wanted = $"{WellKnown.OwnDomain}/global";

    private const string ApiVersion = "networking.istio.io/v1alpha3";

    /// <summary>What to apply: the context of a cluster, and its ServiceEntry.</summary>
    /// <param name="owner">The cluster that has the Service.</param>
    /// <param name="others">The clusters that will call it.</param>
    /// <param name="suffix">The zone, <c>global</c> unless the clusters were installed with another.</param>
    public static IReadOnlyList<MissingObject> Plan(ClusterInventory owner, Service service, IReadOnlyList<ClusterInventory> others, string suffix)
    {
        var host = Host(service, suffix);
        if (!Ports(service).Any())
            throw new ProblemException($"Service {service.Key} in {owner.Context}", "has no TCP port", "only TCP can be exported to other clusters");
        var entry = GlobalEntry.Of(owner).Where(gateway => gateway.Takes(host)).OrderBy(gateway => gateway.Addresses.IsEmpty).FirstOrDefault()
            ?? throw new ProblemException($"cluster {owner.Context}",
                $"has no gateway that accepts calls for {host}: no AUTO_PASSTHROUGH server with hosts *.{suffix}, or no Service with its port",
                "install it with 'isthmus install -f manifests/examples/multicluster/values-istio-multicluster-gateways.yaml'");
        if (entry.Addresses.IsEmpty)
            throw new ProblemException($"Service {entry.Service} in {owner.Context}", "has neither a load balancer address nor a node port",
                "check it with 'kubectl get service', then run the command again");
        var address = GlobalAddresses.Choose(host, [owner, .. others]);
        return [new(owner.Context, Local(service, host, address)),
            .. others.Select(other => new MissingObject(other.Context, Remote(service, host, address, Entrances(entry))))];
    }

    public static string Host(Service service, string suffix) => $"{service.Metadata.Name}.{service.Metadata.Namespace}.{suffix}";

    /// <summary>The entry in the Service's own cluster: its gateway needs it where names are not rewritten, and callers
    /// there may use the name too.</summary>
    public static JsonObject Local(Service service, string host, Address address) =>
        Entry(service, host, address,
            [new JsonObject { ["address"] = $"{service.Metadata.Name}.{service.Metadata.Namespace}.svc.{WellKnown.DefaultDomainSuffix}" }]);

    private static JsonObject Remote(Service service, string host, Address address, IEnumerable<EntryAddress> gateways) =>
        Entry(service, host, address, gateways.Select(gateway => new JsonObject
        {
            ["address"] = gateway.Address,
            ["ports"] = new JsonObject(Ports(service).Select(port => KeyValuePair.Create(port["name"]!.ToString(), (JsonNode?)JsonValue.Create(gateway.Port)))),
        }));

    /// <summary>Addresses of the load balancer; without any, those of the nodes.</summary>
    private static IEnumerable<EntryAddress> Entrances(GlobalEntry entry) =>
        entry.Addresses.Any(address => address.Port == entry.Port) ? entry.Addresses.Where(address => address.Port == entry.Port) : entry.Addresses;

    private static JsonObject Entry(Service service, string host, Address address, IEnumerable<JsonObject> endpoints) => new()
    {
        ["apiVersion"] = ApiVersion, ["kind"] = "ServiceEntry",
        ["metadata"] = new JsonObject { ["name"] = host, ["namespace"] = WellKnown.SystemNamespace, ["labels"] = new JsonObject { [MadeBy] = Export } },
        ["spec"] = new JsonObject
        {
            ["hosts"] = new JsonArray(host),
            ["location"] = "MESH_INTERNAL",
            ["ports"] = new JsonArray([.. Ports(service)]),
            ["resolution"] = "DNS",
            ["addresses"] = new JsonArray(address.ToString()),
            ["endpoints"] = new JsonArray([.. endpoints]),
        },
    };

    private static IEnumerable<JsonObject> Ports(Service service) => service.Spec.Ports.Where(port => port.Protocol == "TCP").Select(port => new JsonObject
    {
        ["name"] = port.Name.Length > 0 ? port.Name : $"tcp-{port.Port}",
        ["number"] = port.Port,
        // For a Service, the proxy can detect the protocol. An entry must declare it, and TCP always works.
        ["protocol"] = Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port) switch
        {
            Protocol.Auto => "TCP",
            Protocol.GrpcWeb => "GRPC-WEB",
            var known => known.ToString().ToUpperInvariant(),
        },
    });
}
