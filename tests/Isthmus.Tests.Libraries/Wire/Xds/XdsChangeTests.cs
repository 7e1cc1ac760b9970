using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Isthmus.Testing;
using Isthmus.Wire.Discovery;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.Libraries.Wire.Xds;

/// <summary>Route tables go over the wire as changes of what a client has, to clients that take them.</summary>
public sealed class XdsChangeTests
{
    private const string R = TypeUrls.Route;
    private const int Field = RouteConfiguration.VirtualHostsFieldNumber;

    [Fact]
    public void A_table_that_is_split_and_joined_is_the_same_message() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        var table = Table("t", [.. Enumerable.Range(0, random.Next(5)).Select(i => $"{i} {new string('x', random.Next(300))}")]);
        if (random.Next(2) == 0) table.ValidateClusters = false;
        if (random.Next(2) == 0) table.IgnorePortInHostMatching = true;
        var parts = XdsParts.Split(table.ToByteString(), Field);
        Assert.Equal(table.VirtualHosts.Select(host => host.ToByteString()), parts.Items);
        Assert.Equal(table, RouteConfiguration.Parser.ParseFrom(parts.Join()));
        Assert.Equal(parts, XdsParts.Split(parts.Join(), Field));
    }).MustHold(300);

    [Fact]
    public void Malformed_tables_are_refused()
    {
        var bytes = Table("t", ["a", "b"]).ToByteString();
        for (var length = 1; length < bytes.Length; length++)
        {
            var cut = ByteString.CopyFrom(bytes.Span[..length]);
            var isMessage = true;
            try { RouteConfiguration.Parser.ParseFrom(cut); }
            catch (InvalidProtocolBufferException) { isMessage = false; }
            if (!isMessage) Assert.ThrowsAny<Exception>(() => RouteConfiguration.Parser.ParseFrom(XdsParts.Split(cut, Field).Join()));
        }
        Assert.Throws<InvalidProtocolBufferException>(() => XdsParts.Split(ByteString.CopyFrom(bytes.Span[..^1]), Field));
    }

    [Fact]
    public void A_client_that_takes_changes_ends_with_what_one_that_takes_none_has() => Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var random = new Random(seed);
        var (table, other) = (new List<string>(), new List<string>());
        var (with, without) = (new Pair(true), new Pair(false));
        for (var step = 0; step < 40; step++)
        {
            foreach (var hosts in (List<string>[])[table, other])
            {
                switch (random.Next(6))
                {
                    case 0: hosts.Insert(random.Next(hosts.Count + 1), $"new {step}"); break;
                    case 1 when hosts.Count > 0: hosts.RemoveAt(random.Next(hosts.Count)); break;
                    case 2 when hosts.Count > 0: hosts[random.Next(hosts.Count)] = $"changed {step}"; break;
                    case 3 when hosts.Count > 1: (hosts[0], hosts[^1]) = (hosts[^1], hosts[0]); break;
                    default: break;
                }
            }
            var snapshot = Snapshot(step, Made("t", table), Made("u", other));
            var isNew = random.Next(8) == 0;
            foreach (var pair in (Pair[])[with, without])
            {
                if (isNew) pair.Reconnect();
                pair.Publish(snapshot);
            }
        }
        Assert.Equal(without.Tables, with.Tables);
        Assert.Equal(Table("t", table), with.Tables["t"]);
    }).MustHold(200);

    [Fact]
    public void One_changed_host_of_a_thousand_is_all_that_is_sent()
    {
        var hosts = Enumerable.Range(0, 1000).Select(i => $"{i} {new string('x', 1000)}").ToList();
        var (with, without) = (new Pair(true), new Pair(false));
        foreach (var pair in (Pair[])[with, without]) pair.Publish(Snapshot(1, Made("t", hosts)));
        hosts[500] = $"changed {new string('x', 1000)}";
        hosts[700] = $"changed too {new string('x', 1000)}";
        var next = Snapshot(2, Made("t", hosts));
        Assert.InRange(with.Publish(next), 2000, 3000);
        Assert.InRange(without.Publish(next), 1_000_000, 2_000_000);
        Assert.Equal(without.Tables, with.Tables);
        // The rest is the same object as before, so that nobody reads it again.
        Assert.Equal(998, with.Parts["t"].Items.Intersect(with.Earlier["t"].Items, ReferenceEqualityComparer.Instance).Count());
    }

    [Fact]
    public void A_change_that_was_rejected_is_the_base_of_the_next()
    {
        var pair = new Pair(true) { Rejects = table => table.VirtualHosts.Any(host => host.Name == "bad") };
        pair.Publish(Snapshot(1, Made("t", ["a", "b"])));
        pair.Publish(Snapshot(2, Made("t", ["a", "bad"])));
        Assert.Equal(Table("t", ["a", "b"]), pair.Tables["t"]);
        pair.Publish(Snapshot(3, Made("t", ["a", "c"])));
        Assert.Equal(Table("t", ["a", "c"]), pair.Tables["t"]);
        Assert.Equal(1, pair.Whole);
    }

    [Fact]
    public void A_client_whose_base_is_another_asks_for_the_whole()
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", ["a", "b"])));
        var change = new ResourceChange { Base = "of somebody else", Head = new RouteConfiguration { Name = "t" }.ToByteString() };
        pair.Receive(Sent(change));
        Assert.Equal(Table("t", ["a", "b"]), pair.Tables["t"]);
        Assert.Equal(2, pair.Whole);
        pair.Publish(Snapshot(2, Made("t", ["a", "c"])));
        Assert.Equal(Table("t", ["a", "c"]), pair.Tables["t"]);
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(2, 1)]
    [InlineData(uint.MaxValue, uint.MaxValue)]
    public void A_change_of_what_its_base_does_not_have_is_refused(uint first, uint count)
    {
        var pair = new Pair(true);
        pair.Publish(Snapshot(1, Made("t", ["a", "b"])));
        var run = new ResourceChange.Types.Run { First = first, Count = count };
        var change = new ResourceChange { Base = Made("t", ["a", "b"]).Version, Head = ByteString.Empty, Runs = { run } };
        var answers = pair.Receive(Sent(change));
        Assert.Contains("keeps parts that the resource does not have", answers[0].ErrorDetail.Message, StringComparison.Ordinal);
        Assert.Equal(Table("t", ["a", "b"]), pair.Tables["t"]);
    }

    [Fact]
    public void Copies_of_copies_end()
    {
        var parts = new XdsParts(ByteString.Empty, Field, [ByteString.CopyFrom(new byte[1 << 20])]);
        for (var i = 0; i < 8; i++) parts = XdsChange.Apply(parts, Doubled(parts));
        var tooLarge = Assert.Throws<InvalidDataException>(() => XdsChange.Apply(parts, Doubled(parts)));
        Assert.Contains("has more than 256 MiB", tooLarge.Message, StringComparison.Ordinal);
        var many = new XdsParts(ByteString.Empty, Field, [.. Enumerable.Repeat(ByteString.Empty, 600_000)]);
        var tooMany = Assert.Throws<InvalidDataException>(() => XdsChange.Apply(many, Doubled(many)));
        Assert.Contains("has more than 1000000 parts", tooMany.Message, StringComparison.Ordinal);
    }

    private static ResourceChange Doubled(XdsParts parts)
    {
        var run = new ResourceChange.Types.Run { Count = (uint)parts.Items.Length };
        return new() { Runs = { run, run.Clone() } };
    }

    private static DeltaDiscoveryResponse Sent(ResourceChange change)
    {
        var body = new Google.Protobuf.WellKnownTypes.Any { TypeUrl = XdsChange.TypeUrl, Value = change.ToByteString() };
        return new() { TypeUrl = R, Nonce = "x", Resources = { new Resource { Name = "t", Version = "9", Resource_ = body } } };
    }

    private static RouteConfiguration Table(string name, IEnumerable<string> hosts) =>
        new() { Name = name, VirtualHosts = { hosts.Select(host => new VirtualHost { Name = host }) } };

    private static XdsResource Made(string name, IEnumerable<string> hosts)
    {
        var bytes = Table(name, hosts).ToByteString();
        return new(name, Convert.ToHexString(SHA256.HashData(bytes.Span)), R, XdsParts.Split(bytes, Field));
    }

    private static XdsSnapshot Snapshot(int version, params XdsResource[] tables) =>
        new($"{version}", new Dictionary<string, IXdsResources> { [R] = new XdsResourceMap(tables) });

    /// <summary>A server's stream and a client that subscribes to both tables.</summary>
    private sealed class Pair : IXdsSink
    {
        private readonly DeltaClient _client;
        private readonly bool _takesChanges;
        private DeltaStream _server;
        private XdsSnapshot _last = XdsSnapshot.Empty;

        public Pair(bool takesChanges)
        {
            _takesChanges = takesChanges;
            _client = new(new Node { Id = "n" }, [TypeUrls.Listener], this, TimeProvider.System);
            _server = Open();
        }

        public Dictionary<string, RouteConfiguration> Tables { get; } = [];

        public Dictionary<string, XdsParts> Parts { get; } = [];

        public Dictionary<string, XdsParts> Earlier { get; } = [];

        public Func<RouteConfiguration, bool> Rejects { get; init; } = _ => false;

        /// <summary>How many tables were sent as a whole.</summary>
        public int Whole { get; private set; }

        private DeltaStream Open()
        {
            var server = new DeltaStream("n", _ => { });
            server.Update(_last);
            foreach (var request in _client.Open()) Exchange(server.Receive(Seen(request)), server);
            // The listeners that need them.
            Exchange([new DeltaDiscoveryResponse { TypeUrl = TypeUrls.Listener, Nonce = "l" }], server);
            return server;
        }

        public void Reconnect() => _server = Open();

        /// <returns>How many bytes were sent.</returns>
        public int Publish(XdsSnapshot snapshot) => Exchange(_server.Update(_last = snapshot), _server);

        public IReadOnlyList<DeltaDiscoveryRequest> Receive(DeltaDiscoveryResponse response)
        {
            var answers = _client.Receive(response);
            foreach (var answer in answers) Exchange(_server.Receive(answer), _server);
            return answers;
        }

        private int Exchange(IReadOnlyList<DeltaDiscoveryResponse> responses, DeltaStream server)
        {
            var bytes = 0;
            foreach (var response in responses)
            {
                bytes += response.CalculateSize();
                Whole += response.Resources.Count(resource => resource.Resource_.TypeUrl == R);
                foreach (var answer in _client.Receive(response)) bytes += Exchange(server.Receive(Seen(answer)), server);
            }
            return bytes;
        }

        /// <summary>As the server of a client without the feature sees it.</summary>
        private DeltaDiscoveryRequest Seen(DeltaDiscoveryRequest request)
        {
            if (_takesChanges || request.Node is null) return request;
            var changed = request.Clone();
            changed.Node.ClientFeatures.Clear();
            return changed;
        }

        public XdsVerdict Apply(XdsBatch batch)
        {
            var rejected = new List<XdsRejection>();
            foreach (var resource in batch.Changed)
            {
                var table = RouteConfiguration.Parser.ParseFrom(resource.Parts!.Join());
                if (Rejects(table))
                {
                    rejected.Add(new(resource.Name, "bad"));
                    continue;
                }
                if (Parts.TryGetValue(resource.Name, out var before)) Earlier[resource.Name] = before;
                (Tables[resource.Name], Parts[resource.Name]) = (table, resource.Parts);
            }
            foreach (var name in batch.Removed) Tables.Remove(name);
            return new(rejected, new Dictionary<string, IReadOnlySet<string>> { [R] = new HashSet<string> { "t", "u" } });
        }
    }
}
