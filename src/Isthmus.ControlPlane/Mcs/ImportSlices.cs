using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;

namespace Isthmus.ControlPlane.Mcs;

/// <summary>
/// The EndpointSlices of ServiceImports (KEP-1645): those of each source cluster apart, at most 100 endpoints in each. An endpoint stays in the slice
/// that has it, so that a changed one costs one write. A pure function of what is behind the imports, and of the slices that are there.
/// </summary>
/// <param name="Wanted">To be written.</param>
/// <param name="Obsolete">To be deleted.</param>
internal sealed record ImportSlices(IReadOnlyList<WantedSlice> Wanted, IReadOnlyList<EndpointSlice> Obsolete)
{
    /// <summary>Who writes them: the controllers of Kubernetes leave them alone.</summary>
    public const string Manager = "multicluster." + WellKnown.OwnDomain;

    /// <summary>As many as Kubernetes' own controller puts into one.</summary>
    private const int Most = 100;

    public static ImportSlices Of(IReadOnlyList<BehindImport> imports, IEnumerable<EndpointSlice> known)
    {
        var before = known.ToLookup(slice => (slice.Metadata.Namespace, slice.Metadata.Labels.GetValueOrDefault(Labels.ImportName, "")));
        var wanted = imports.SelectMany(import => SlicesOf(import, before[(import.Import.Source.Namespace, import.Import.Source.Name)])).ToList();
        var names = wanted.Select(slice => (slice.Namespace, slice.Name)).ToHashSet();
        return new([.. wanted.Where(slice => !slice.IsKnown)],
            [.. before.SelectMany(slices => slices).Where(slice => !names.Contains((slice.Metadata.Namespace, slice.Metadata.Name)))]);
    }

    private static IEnumerable<WantedSlice> SlicesOf(BehindImport import, IEnumerable<EndpointSlice> known)
    {
        var before = known.Select(slice => (Slice: slice, Kind: SliceKind.Of(slice))).ToLookup(one => one.Kind, one => one.Slice);
        var endpoints = import.Reachable.ToLookup(endpoint => SliceKind.Of(import, endpoint), ImportedAddress.Of);
        var kinds = endpoints.Select(group => group.Key).Concat(
            // A cluster without endpoints has a slice, too: it says that the cluster exports.
            import.Clusters.Where(cluster => !endpoints.Any(group => group.Key.Cluster == cluster)).Select(cluster => new SliceKind(cluster, true, default)));
        foreach (var kind in kinds.OrderBy(kind => kind.Cluster, StringComparer.Ordinal).ThenByDescending(kind => kind.IsV4))
            foreach (var slice in Placed(import.Import, kind, endpoints[kind], before[kind])) yield return slice;
    }

    private static IEnumerable<WantedSlice> Placed(
        ServiceImport import, SliceKind kind, IEnumerable<ImportedAddress> endpoints, IEnumerable<EndpointSlice> known)
    {
        var slices = known.OrderBy(slice => slice.Metadata.Name, StringComparer.Ordinal)
            .Select(slice => (slice.Metadata.Name, Known: (EndpointSlice?)slice, Endpoints: new List<ImportedAddress>())).ToList();
        var places = slices.SelectMany((slice, index) => ImportedAddress.Of(slice.Known!).Select(endpoint => (endpoint.Address, index)))
            .DistinctBy(place => place.Address).ToDictionary(place => place.Address, place => place.index);
        var others = new List<ImportedAddress>();
        foreach (var endpoint in endpoints.DistinctBy(endpoint => endpoint.Address).OrderBy(endpoint => endpoint.Address))
            (places.TryGetValue(endpoint.Address, out var index) && slices[index].Endpoints.Count < Most ? slices[index].Endpoints : others).Add(endpoint);

        // What has to be written in any case takes them first.
        slices = [.. slices.OrderBy(slice => ImportedAddress.Of(slice.Known!).SequenceEqual(slice.Endpoints))];
        var at = 0;
        foreach (var endpoint in others)
        {
            while (at < slices.Count && slices[at].Endpoints.Count >= Most) at++;
            if (at == slices.Count) slices.Add((Free(import, kind, slices.Select(slice => slice.Name)), null, []));
            slices[at].Endpoints.Add(endpoint);
        }
        if (slices.Count == 0) slices.Add((Free(import, kind, []), null, []));
        var filled = slices.Where(slice => slice.Endpoints.Count > 0).ToList();
        return (filled.Count > 0 ? filled : slices.Take(1))
            .Select(slice => new WantedSlice(import, slice.Name, kind, slice.Endpoints.OrderBy(one => one.Address).ToValueList(),
                slice.Known));
    }

    /// <summary>A name that no slice has, the same for the same import: who writes it twice writes one object.</summary>
    private static string Free(ServiceImport import, SliceKind kind, IEnumerable<string> taken)
    {
        var used = taken.ToHashSet(StringComparer.Ordinal);
        return Enumerable.Range(0, int.MaxValue).Select(index => $"{import.Source.Name}-{Hash($"{kind} {index}")}").First(name => !used.Contains(name));
    }

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..10];
}

/// <summary>What the endpoints of one slice have in common.</summary>
/// <param name="Cluster">The one that they are in.</param>
internal sealed record SliceKind(string Cluster, bool IsV4, ValueList<ImportedPort> Ports)
{
    public static SliceKind Of(EndpointSlice slice) => new(
        slice.Metadata.Labels.GetValueOrDefault(Labels.SourceCluster, ""), slice.AddressType == "IPv4",
        slice.Ports.Select(port => new ImportedPort(port.Name, port.Port ?? 0, port.Protocol, port.AppProtocol)).ToValueList());

    public static SliceKind Of(BehindImport import, MeshEndpoint endpoint) => new(endpoint.Cluster, endpoint.Address.Ip!.Value.IsV4,
        (from port in import.Ports
         let target = port.Protocol == "UDP" ? endpoint.UdpPort(port.Number) : endpoint.Port(port.Number)
         where target is not null
         select new ImportedPort(port.Name, target.Value.Target, port.Protocol, port.AppProtocol)).ToValueList());
}

/// <param name="Number">At the endpoints.</param>
internal readonly record struct ImportedPort(string Name, int Number, string Protocol, string AppProtocol);

/// <param name="Hostname">Its label in DNS; empty when it has none.</param>
internal readonly record struct ImportedAddress(EndpointAddress Address, bool IsReady, string Hostname, string Zone)
{
    public static ImportedAddress Of(MeshEndpoint endpoint) =>
        new(endpoint.Address, endpoint.Health == EndpointHealth.Ready, endpoint.PodHostname, endpoint.Locality.Zone ?? "");

    public static IEnumerable<ImportedAddress> Of(EndpointSlice slice) => slice.Endpoints.SelectMany(endpoint => endpoint.Addresses.Select(address =>
        new ImportedAddress(EndpointAddress.Parse(address), endpoint.Conditions.Ready != false, endpoint.Hostname, endpoint.Zone)));
}

/// <summary>An EndpointSlice as it should be.</summary>
/// <param name="Known">What the cluster has; null: nothing.</param>
internal sealed record WantedSlice(ServiceImport Import, string Name, SliceKind Kind, ValueList<ImportedAddress> Endpoints, EndpointSlice? Known)
{
    public string Namespace => Import.Source.Namespace;

    /// <summary>Whether the cluster has it as it should be.</summary>
    public bool IsKnown => Known is not null && Known.Metadata.OwnerReferences.Exists(owner => owner.Uid == Import.Uid)
        && ImportedAddress.Of(Known).SequenceEqual(Endpoints);

    /// <param name="imports">The kind of its owner, in the version that is written.</param>
    public JsonObject Json(ResourceKind imports) => new()
    {
        ["apiVersion"] = Kinds.EndpointSlice.ApiVersion,
        ["kind"] = Kinds.EndpointSlice.Kind,
        ["metadata"] = new JsonObject
        {
            ["name"] = Name, ["namespace"] = Namespace,
            ["labels"] = new JsonObject
            {
                [Labels.ImportName] = Import.Source.Name, [Labels.SourceCluster] = Kind.Cluster, [Labels.SliceManager] = ImportSlices.Manager,
                [Labels.MadeBy] = Labels.Discovery,
            },
            ["ownerReferences"] = new JsonArray(new JsonObject
            {
                ["apiVersion"] = imports.ApiVersion, ["kind"] = imports.Kind, ["name"] = Import.Source.Name, ["uid"] = Import.Uid,
            }),
        },
        ["addressType"] = Kind.IsV4 ? "IPv4" : "IPv6",
        ["endpoints"] = new JsonArray([.. Endpoints.Select(Json)]),
        ["ports"] = new JsonArray([.. Kind.Ports.Select(Json)]),
    };

    private static JsonNode Json(ImportedAddress endpoint)
    {
        var written = new JsonObject
        {
            ["addresses"] = new JsonArray(endpoint.Address.ToString()), ["conditions"] = new JsonObject { ["ready"] = endpoint.IsReady },
        };
        if (endpoint.Hostname.Length > 0) written["hostname"] = endpoint.Hostname;
        if (endpoint.Zone.Length > 0) written["zone"] = endpoint.Zone;
        return written;
    }

    private static JsonNode Json(ImportedPort port)
    {
        var written = new JsonObject { ["name"] = port.Name, ["port"] = port.Number, ["protocol"] = port.Protocol };
        if (port.AppProtocol.Length > 0) written["appProtocol"] = port.AppProtocol;
        return written;
    }
}
