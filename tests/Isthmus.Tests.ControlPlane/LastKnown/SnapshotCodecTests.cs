using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Graph.Derive;
using Isthmus.ControlPlane.LastKnown;
using Isthmus.Core.Collections;
using Isthmus.Core.Net;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Xunit;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using ServicePort = Isthmus.Mesh.Model.ServicePort;

namespace Isthmus.Tests.ControlPlane.LastKnown;

public sealed class SnapshotCodecTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Whatever_a_cluster_tells_comes_back_from_config_maps_as_it_was() => Prop.ForAll(Arb.From(Snapshots), snapshot =>
    {
        var (found, problems, loose) = SnapshotMaps.Read(Maps(snapshot));
        var stored = Assert.Single(found);
        Assert.Empty(problems);
        Assert.Empty(loose);
        Assert.Equal((snapshot.Cluster, Noon), (stored.Cluster, stored.Confirmed));
        Assert.Equal(snapshot, SnapshotCodec.Decode(snapshot.Cluster, stored.Encoded));
    }).MustHold();

    /// <summary>What control planes store must be read by those of later versions.</summary>
    [Fact]
    public void A_snapshot_of_an_earlier_version_is_read()
    {
        const string Source = """{"cluster":"east","kind":"KIND","namespace":"shop","name":"web-1"}""";
        var json = $$"""
            {"cluster": "east", "services": [], "slices": [], "nodes": [], "namespaces": [], "exports": [],
             "pods": [{"source": {{Source.Replace("KIND", "Pod")}}, "labels": {"app": "web"}, "serviceAccount": "web", "node": "n1",
                       "addresses": ["10.0.0.1"], "workload": "web", "hostname": "h", "subdomain": "s", "ports": {"http": 8080}, "runs": 1}],
             "workloads": [{"source": {{Source.Replace("KIND", "WorkloadEntry")}}, "createdAt": 5,
                            "endpoint": {"address": "192.0.2.1", "ports": {}, "labels": {}, "network": "", "locality": "eu/a", "weight": 2,
                                         "serviceAccount": "web"} }]}
            """;
        var read = SnapshotCodec.Decode("east", Pack(Encoding.UTF8.GetBytes(json)));
        Assert.Equal(
            new Workload(new("east", "Pod", "shop", "web-1"), "web", new Dictionary<string, string> { ["app"] = "web" }.ToValueMap(), "web",
                [Address.Parse("10.0.0.1")], new Dictionary<string, int> { ["http"] = 8080 }.ToValueMap())
            {
                Node = "n1", Hostname = "h", Subdomain = "s", Runs = ProxyKind.Router,
            },
            Assert.Single(read.Pods));
        var entry = Assert.Single(read.Workloads);
        Assert.Equal(("eu/a", 2u, false), (entry.Endpoint.Locality, entry.Endpoint.Weight, entry.IsUnhealthy));
    }

    /// <summary>A fact that is added to workloads is stored, or has a reason here why it is not.</summary>
    [Fact]
    public void Of_Pods_everything_is_stored_but_what_only_WorkloadEntries_have()
    {
        var facts = typeof(Workload).GetProperties().Where(property => property.CanWrite).Select(property => property.Name)
            .Except([nameof(Workload.Elsewhere), nameof(Workload.Locality), nameof(Workload.Network), nameof(Workload.Weight)])
            .Except([nameof(Workload.Health)]); // EndpointSlices say it.
        Assert.Equal(
            facts.Select(name => name == nameof(Workload.Name) ? nameof(StoredPod.Workload) : name).Order(StringComparer.Ordinal),
            typeof(StoredPod).GetProperties().Where(property => property.CanWrite).Select(property => property.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_workload_becomes_the_entry_again_that_it_was_made_of() => Prop.ForAll(Arb.From(Workloads("east")), entry =>
    {
        var workload = Workload.Of(entry);
        Assert.Equal(workload, Workload.Of(workload.ToEntry()));
    }).MustHold();

    [Fact]
    public void A_large_snapshot_is_kept_in_parts_that_config_maps_can_hold()
    {
        var snapshot = Large();
        var maps = Maps(snapshot);
        Assert.True(maps.Count > 3, $"{maps.Count} maps");
        Assert.All(maps, map => Assert.True(map.BinaryData.Values.Sum(text => text.Length) < 1 << 20));
        Assert.Equal(snapshot, SnapshotCodec.Decode("east", Assert.Single(SnapshotMaps.Read(Enumerable.Reverse(maps)).Found).Encoded));
    }

    [Fact]
    public void Parts_that_are_missing_or_from_another_time_make_no_snapshot()
    {
        var maps = Maps(Large());
        var part = maps[1];
        var (found, problems, loose) = SnapshotMaps.Read(maps.Where(map => map != part));
        Assert.Empty(found);
        Assert.Contains("lacks its part", Assert.Single(problems).Problem.Message);
        Assert.Equal(maps.Count - 2, loose.Count);

        part.BinaryData[part.BinaryData.Keys.Single()] = Maps(Large(seed: 2))[1].BinaryData.Values.Single();
        var mixed = Assert.Single(SnapshotMaps.Read(maps).Found);
        Assert.Throws<ProblemException>(() => SnapshotCodec.Decode("east", mixed.Encoded));
    }

    [Theory]
    [InlineData("cluster", "west", "a name that is not its own")]
    [InlineData("cluster", "", "a name that is not its own")]
    [InlineData("parts", "0", "'0' parts")]
    [InlineData("parts", "-1", "'-1' parts")]
    [InlineData("parts", "1000000000", "'1000000000' parts")]
    [InlineData("parts", "two", "'two' parts")]
    [InlineData("confirmed", "yesterday", "when it was confirmed")]
    [InlineData("generation", "../../x", "lacks its part")]
    public void An_index_that_makes_no_sense_is_a_problem_of_its_own(string key, string value, string words)
    {
        var maps = Maps(Empty("east"));
        maps.Single(map => map.Data.Count > 0).Data[key] = value;
        var (found, problems, _) = SnapshotMaps.Read([.. maps, .. Maps(Empty("north"))]);
        Assert.Equal("north", Assert.Single(found).Cluster);
        var problem = Assert.Single(problems).Problem;
        Assert.Contains(words, problem.Message);
        Assert.StartsWith("ConfigMap istio-system/isthmus-last-known-", problem.Object);
    }

    [Theory]
    [InlineData("null", "null")]
    [InlineData("{}", "another version or damaged")]
    [InlineData("[]", "another version or damaged")]
    [InlineData("""{"cluster":"east","services":[null],"slices":[],"pods":[],"nodes":[],"namespaces":[]}""", "another version or damaged")]
    [InlineData("""{"cluster":"east","services":{},"slices":[],"pods":[],"nodes":[],"namespaces":[]}""", "another version or damaged")]
    [InlineData("""{"cluster":"west","services":[],"slices":[],"pods":[],"nodes":[],"namespaces":[]}""", "belongs to cluster 'west'")]
    [InlineData(
        """{"cluster":"east","services":[],"slices":[],"pods":[],"nodes":[],"namespaces":[{"source":{"cluster":"west","kind":"Namespace","namespace":"","name":"n"},"network":"","labels":{}}]}""",
        "does not belong")]
    [InlineData(
        """{"cluster":"east","services":[],"slices":[],"pods":[],"nodes":[],"namespaces":[{"source":{"cluster":"east","kind":"Namespace","namespace":"","name":"n"},"network":null,"labels":{}}]}""",
        "another version or damaged")]
    [InlineData(
        """
        {"cluster":"east","services":[],"slices":[{"source":{"cluster":"east","kind":"EndpointSlice","namespace":"n","name":"s"},"service":"s",
           "addresses":[{"address":"1.2.3.4","health":7,"pod":null,"node":"","zone":"","hostname":""}],"ports":{}}],"pods":[],"nodes":[],"namespaces":[]}
        """,
        "another version or damaged")]
    [InlineData(
        """
        {"cluster":"east","services":[],"slices":[{"source":{"cluster":"east","kind":"EndpointSlice","namespace":"n","name":"s"},"service":"s",
           "addresses":[{"address":"there","health":"Ready","pod":null,"node":"","zone":"","hostname":""}],"ports":{}}],"pods":[],"nodes":[],"namespaces":[]}
        """,
        "not an IP address")]
    [InlineData(
        """
        {"cluster":"east","services":[],"slices":[],"pods":[],"nodes":[],"namespaces":[],
         "workloads":[{"source":{"cluster":"west","kind":"WorkloadEntry","namespace":"n","name":"w"},
           "endpoint":{"address":"192.0.2.1","ports":{},"labels":{},"network":"","locality":"","weight":1,"serviceAccount":""},"createdAt":1}]}
        """,
        "does not belong")]
    [InlineData(
        """
        {"cluster":"east","services":[],"slices":[],"pods":[],"nodes":[],"namespaces":[],
         "workloads":[{"source":{"cluster":"east","kind":"WorkloadEntry","namespace":"n","name":"w"},
           "endpoint":{"address":"192.0.2.1","ports":{"http":70000},"labels":{},"network":"","locality":"","weight":1,"serviceAccount":""},"createdAt":1}]}
        """,
        "70000 is not a valid port")]
    [InlineData(
        """
        {"cluster":"east","services":[],"slices":[{"source":{"cluster":"east","kind":"EndpointSlice","namespace":"n","name":"s"},"service":"s","addresses":[],
           "ports":{"http":70000}}],"pods":[],"nodes":[],"namespaces":[]}
        """,
        "70000 is not a valid port")]
    public void Content_that_is_not_ours_is_refused_with_the_reason(string text, string words)
    {
        var problem = Assert.Throws<ProblemException>(() => SnapshotCodec.Decode("east", Pack(Encoding.UTF8.GetBytes(text)))).Problem;
        Assert.Contains(words, problem.Message);
    }

    [Fact]
    public void A_snapshot_from_before_a_fact_was_added_means_what_is_meant_without_it()
    {
        var service = new ClusterService(new("east", "Service", "shop", "entry"), "entry.shop.svc.cluster.local", default, default, false, "", default, default,
            default, [EndpointAddress.Parse("172.18.202.1")], "n", 15443, null, false, 7);
        var encoded = SnapshotCodec.Encode(Empty("east") with { Services = [service] });
        var text = JsonNode.Parse(new GZipStream(new MemoryStream(encoded.Chunks[0]), CompressionMode.Decompress))!.AsObject();
        Assert.True(text.Remove("exports"));
        Assert.True(text.Remove("workloads"));
        Assert.True(text["services"]![0]!.AsObject().Remove("gatewayWeight"));
        var snapshot = SnapshotCodec.Decode("east", Pack(Encoding.UTF8.GetBytes(text.ToJsonString())));
        Assert.Equal(1u, Assert.Single(snapshot.Services).GatewayWeight);
        Assert.Empty(snapshot.Exports);
        Assert.Empty(snapshot.Workloads);
    }

    [Fact]
    public void Any_bytes_are_refused_and_none_does_harm() => Prop.ForAll(Arb.From(Gen.Choose(0, 255).Select(value => (byte)value).ArrayOf()), bytes =>
    {
        Assert.Throws<ProblemException>(() => SnapshotCodec.Decode("east", new("0123456789abcdef", [bytes])));
        Assert.Throws<ProblemException>(() => SnapshotCodec.Decode("east", Pack(bytes)));
    }).MustHold();

    private static ClusterSnapshot Empty(string cluster) => new(cluster, default, default, default, default, default);

    private static ClusterSnapshot Large(int seed = 1)
    {
        var random = new Random(seed);
        string Noise() => Convert.ToHexString(Enumerable.Range(0, 500).Select(_ => (byte)random.Next(256)).ToArray());
        return Empty("east") with
        {
            Namespaces = Enumerable.Range(0, 4000)
                .Select(i => new NamespaceFacts(new("east", "Namespace", "", $"n{i}"), "", new Dictionary<string, string> { ["noise"] = Noise() }.ToValueMap()))
                .ToValueList(),
        };
    }

    private static EncodedSnapshot Pack(byte[] text)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(text);
        return new(Convert.ToHexStringLower(SHA256.HashData(text))[..16], [packed.ToArray()]);
    }

    private static List<ConfigMap> Maps(ClusterSnapshot snapshot)
    {
        var encoded = SnapshotCodec.Encode(snapshot);
        return [.. SnapshotMaps.Parts("istio-system", snapshot.Cluster, encoded).Append(SnapshotMaps.IndexOf("istio-system", snapshot.Cluster, encoded, Noon))
            .Select(Typed)];
    }

    private static ConfigMap Typed(JsonObject map) => new()
    {
        Metadata = new()
        {
            Name = map["metadata"]!["name"]!.ToString(), Namespace = "istio-system",
            Labels = { [SnapshotMaps.Label] = map["metadata"]!["labels"]![SnapshotMaps.Label]!.ToString() }
        },
        Data = Texts(map["data"]),
        BinaryData = Texts(map["binaryData"]),
    };

    private static Dictionary<string, string> Texts(JsonNode? node) =>
        (node as JsonObject ?? []).ToDictionary(item => item.Key, item => item.Value!.ToString());

    // Every kind of fact with every field set: a new field of a record that the codec does not keep fails here.
    private static readonly Gen<string> Word = Gen.Elements("", "a", "web", "Ä€𝄞", "with \"quotes\"", "10.244.0.9", "line\nbreak", "\u0000");
    private static readonly Gen<string> Name = Gen.Elements("web", "api-7", "node.example");
    private static readonly Gen<string> Ip = Gen.Elements("10.0.0.1", "10.0.0.200", "fd00::1");
    private static readonly Gen<int> PortNumber = Gen.Choose(1, 65535);
    private static readonly Gen<ValueMap<string>> Labels = Pairs(Word);
    private static readonly Gen<ValueList<string>> Words = List(Word);

    private static Gen<ValueList<T>> List<T>(Gen<T> of) => of.ListOf().Select(items => items.ToValueList());

    private static Gen<ValueMap<T>> Pairs<T>(Gen<T> of) =>
        of.ListOf().Select(items => items.Select((item, i) => KeyValuePair.Create($"k{i}", item)).ToValueMap());

    private static Gen<ObjectRef> Source(string cluster, string kind) => from ns in Word from name in Name select new ObjectRef(cluster, kind, ns, name);

    private static Gen<ClusterService> Services(string cluster) =>
        from source in Source(cluster, "Service")
        from texts in Word.ListOf(4)
        from ports in List(
            from name in Word
            from number in PortNumber
            from protocol in Gen.Elements(Enum.GetValues<Protocol>())
            from target in Word
            from node in PortNumber
            select new ServicePort(name, number, protocol, target, node))
        from ips in List(Ip)
        from lists in Words.ListOf(3)
        from maps in Labels.ListOf(3)
        from flags in Gen.Elements(true, false).ListOf(3)
        from port in PortNumber
        let addresses = ips.Select(ip => Address.Parse(ip)).ToValueList()
        let outer = lists[2].Select(EndpointAddress.Parse).ToValueList()
        select new ClusterService(source, texts[0], ports, addresses, flags[0], texts[1], maps[0], maps[1], lists[1], outer, texts[2], port,
            flags[1] ? maps[2] : null, flags[2], port, (uint)port);

    private static Gen<SliceFacts> Slices(string cluster) =>
        from source in Source(cluster, "EndpointSlice")
        from service in Word
        from addresses in List(
            from ip in Ip
            from health in Gen.Elements(Enum.GetValues<EndpointHealth>())
            from pod in Gen.Elements<ObjectKey?>(null, new ObjectKey(cluster, "shop", "web-1"))
            from texts in Word.ListOf(3)
            select new SliceAddress(Address.Parse(ip), health, pod, texts[0], texts[1], texts[2]))
        from ports in Pairs(PortNumber)
        select new SliceFacts(source, service, addresses, ports);

    private static Gen<Workload> Pods(string cluster) =>
        from source in Source(cluster, "Pod")
        from labels in Labels
        from texts in Word.ListOf(5)
        from addresses in List(Ip)
        from ports in Pairs(PortNumber)
        from runs in Gen.Elements<ProxyKind?>(null, ProxyKind.Sidecar, ProxyKind.Router)
        select new Workload(source, texts[2], labels, texts[0], addresses.Select(ip => Address.Parse(ip)).ToValueList(), ports)
        {
            Node = texts[1], Hostname = texts[3], Subdomain = texts[4], Runs = runs, HasEnded = texts[3].Length % 2 == 1,
        };

    private static Gen<NodeFacts> Nodes(string cluster) =>
        from source in Source(cluster, "Node") from texts in Word.ListOf(4) from labels in Labels from addresses in List(Ip)
        let places = addresses.Select(EndpointAddress.Parse).ToValueList()
        select new NodeFacts(source, new(texts[0], texts[1], texts[2]), labels, places, places, texts[3]);

    private static Gen<NamespaceFacts> Namespaces(string cluster) =>
        from source in Source(cluster, "Namespace") from network in Word from labels in Labels select new NamespaceFacts(source, network, labels);

    private static Gen<ClusterSnapshot> Snapshots =>
        from cluster in Gen.Elements("east", "West_2.example", new string('x', 200))
        from services in List(Services(cluster))
        from slices in List(Slices(cluster))
        from pods in List(Pods(cluster))
        from nodes in List(Nodes(cluster))
        from namespaces in List(Namespaces(cluster))
        from exports in List(Exports(cluster))
        from workloads in List(Workloads(cluster))
        select new ClusterSnapshot(cluster, services, slices, pods, nodes, namespaces, exports) { Workloads = workloads };

    private static Gen<WorkloadEntry> Workloads(string cluster) =>
        from source in Source(cluster, "WorkloadEntry")
        from weight in Gen.Choose(1, 1000).Select(number => (uint)number)
        from ports in Pairs(PortNumber)
        from labels in Labels
        from texts in Word.ListOf(4)
        from health in Gen.Elements(true, false)
        select new WorkloadEntry(source, new(EndpointAddress.Parse(texts[0]), ports, labels, texts[1], texts[2], weight, texts[3])) { IsUnhealthy = health };

    private static Gen<ServiceExport> Exports(string cluster) =>
        from source in Source(cluster, "ServiceExport")
        from created in PortNumber
        from conditions in List(
            from texts in Word.ListOf(3)
            from status in Gen.Elements(true, false)
            select new ExportCondition(texts[0], status, texts[1], texts[2]))
        select new ServiceExport(source, created, conditions);
}
